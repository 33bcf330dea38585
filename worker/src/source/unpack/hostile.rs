//! Archives that try to leave their folder, to fill the disk, or to be read in two ways.

use super::{
    made::{Attempt, Made, archive, deflated, made, small},
    *,
};
use proptest::prelude::*;
use std::{
    fs,
    io::{Cursor, Write as _},
    os::unix::fs::PermissionsExt as _,
};
use zip::write::{SimpleFileOptions, ZipWriter};

#[test]
fn what_a_common_writer_makes_comes_out_as_it_went_in() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.add_directory("modules/", options).unwrap();
    for (name, content, mode) in
        [("main.tf", "# main", 0o600), ("modules/net/run.sh", "#!/bin/sh\n", 0o777), ("modules/empty", "", 0o444), ("ü/ß", "x", 0o4755)]
    {
        zip.start_file(name, options.unix_permissions(mode)).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.start_file("stored", options.compression_method(zip::CompressionMethod::Stored)).unwrap();
    zip.write_all(&vec![7; 70_000]).unwrap();
    zip.set_comment("with a comment");
    let attempt = Attempt::of(&zip.finish().unwrap().into_inner());
    assert_eq!(attempt.result.as_ref().unwrap(), &Unpacked { files: 5, bytes: 70_017 });
    assert_eq!(fs::read_to_string(attempt.place("main.tf")).unwrap(), "# main");
    assert_eq!(fs::read_to_string(attempt.place("ü/ß")).unwrap(), "x");
    assert_eq!(fs::read(attempt.place("stored")).unwrap(), vec![7; 70_000]);
    let mode = |path| fs::metadata(attempt.place(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("main.tf") & 0o7100, 0);
    assert_eq!(mode("modules/net/run.sh") & 0o7100, 0o100);
    assert_eq!(mode("ü/ß") & 0o7100, 0o100, "no rights of another user");
    assert_eq!(mode(""), 0o700);
}

#[test]
fn names_and_kinds_that_lead_elsewhere_are_refused() {
    let entry = |name: &str| vec![made("main.tf", b"# fine"), made(name, b"evil")];
    let with_mode = |name: &str, mode| vec![made("main.tf", b"# fine"), Made { mode, ..made(name, b"/etc/passwd") }];
    for (what, entries, why) in [
        ("parent", entry("../beside"), BadEntry::Leaves),
        ("parent, deep", entry("a/../../beside"), BadEntry::Leaves),
        ("absolute", entry("/tmp/navvy-evil"), BadEntry::Absolute),
        ("backslash", entry("..\\beside"), BadEntry::Backslash),
        ("drive", entry("C:/beside"), BadEntry::Drive),
        ("NUL", entry("beside\0.tf"), BadEntry::Control),
        ("escape", entry("\x1b[2J"), BadEntry::Control),
        ("too deep", entry("a/b/c/d/e/f/g/h/i"), BadEntry::TooDeep { limit: 8 }),
        ("not UTF-8", vec![made(b"\xff\xfe", b"")], BadEntry::NotUtf8),
        ("link", with_mode("link", 0o120_777), BadEntry::Link),
        ("device", with_mode("device", 0o020_666), BadEntry::Special),
        ("pipe", with_mode("pipe", 0o010_666), BadEntry::Special),
        ("link, then through it", [with_mode("a", 0o120_777), entry("a/b")].concat(), BadEntry::Link),
        ("twice", vec![made("a", b"1"), made("a", b"2")], BadEntry::Twice),
        ("twice, spelled otherwise", vec![made("a", b"1"), made("./a", b"2")], BadEntry::Twice),
        ("below a file", vec![made("a", b"1"), made("a/b", b"2")], BadEntry::BelowFile),
        ("above a file", vec![made("a/b", b"1"), made("a", b"2")], BadEntry::BelowFile),
        ("encrypted", vec![Made { flags: 1, ..made("a", b"1") }], BadEntry::Encrypted),
        ("other method", vec![Made { method: 14, ..made("a", b"1") }], BadEntry::Method(14)),
        ("another name before the content", vec![Made { local_name: b"b".to_vec(), ..made("a", b"1") }], BadEntry::Disagrees),
        ("no header at its place", vec![Made { start: Some(3), ..made("a", b"1") }], BadEntry::Disagrees),
        ("folder with content", vec![made("a/", b"1")], BadEntry::FolderWithContent),
    ] {
        assert_eq!(Attempt::of(&archive(&entries)).bad_entry(what), why, "{what}");
    }
}

#[test]
fn an_error_names_the_entry_without_its_control_characters() {
    let error = Attempt::of(&archive(&[made("a\x1b[31m", b"")])).refused("escape").to_string();
    assert_eq!(error, "its entry `a\\u{1b}[31m` has a name with a control character");
    let long = "x".repeat(60_000);
    assert!(Attempt::of(&archive(&[made(&long, b"")])).refused("long").to_string().len() < 300);
}

#[test]
fn names_that_differ_in_case_are_two_files() {
    let attempt = Attempt::of(&archive(&[made("Makefile", b"1"), made("makefile", b"2")]));
    assert_eq!(attempt.result.as_ref().unwrap().files, 2);
    assert_eq!(fs::read(attempt.place("Makefile")).unwrap(), b"1");
    assert_eq!(fs::read(attempt.place("makefile")).unwrap(), b"2");
}

#[test]
fn what_swells_is_stopped() {
    let zeros = |bytes: usize| vec![0; bytes];
    let bomb = deflated("bomb", &zeros(20_000_000));
    assert!(archive(std::slice::from_ref(&bomb)).len() < 200_000, "it is small outside");
    for (what, entries, why) in [
        ("announced", vec![bomb.clone()], BadEntry::TooLarge { limit: 100_000 }),
        ("hidden", vec![Made { unpacked: 10, ..bomb.clone() }], BadEntry::OtherSize),
        ("hidden as empty", vec![Made { unpacked: 0, ..bomb }], BadEntry::OtherSize),
        ("less than announced", vec![Made { unpacked: 99_999, ..deflated("a", b"x") }], BadEntry::OtherSize),
        ("stored, hidden", vec![Made { unpacked: 1, ..made("a", b"123") }], BadEntry::OtherSize),
        ("wrong checksum", vec![Made { checksum: 7, ..deflated("a", b"x") }], BadEntry::Damaged),
        ("not deflated", vec![Made { method: 8, ..made("a", &[0xff; 40]) }], BadEntry::Damaged),
        ("zip64", vec![Made { unpacked: u32::MAX, ..deflated("a", b"x") }], BadEntry::Zip64),
    ] {
        assert_eq!(Attempt::of(&archive(&entries)).bad_entry(what), why, "{what}");
    }
    // More than announced, and only then something that cannot be inflated: nobody may come that far.
    let stored_blocks = [[0, 0xff, 0xff, 0, 0].as_slice(), &vec![7; 0xffff]].concat().repeat(4);
    let late = Made { method: 8, unpacked: 10, content: [stored_blocks, vec![7; 9]].concat(), ..made("a", b"") };
    assert_eq!(Attempt::of(&archive(&[late])).bad_entry("stopped at once"), BadEntry::OtherSize);
    let mut tail = deflated("a", b"x");
    tail.content.extend(b"more");
    assert_eq!(Attempt::of(&archive(&[tail])).bad_entry("bytes behind the content"), BadEntry::Damaged);
    let parts = [deflated("a", &zeros(90_000)), deflated("b", &zeros(90_000))];
    assert!(matches!(Attempt::of(&archive(&parts)).refused("together"), BadArchive::TooLarge { limit: 150_000 }));
    let many: Vec<Made> = (0..101).map(|n| made(n.to_string(), b"")).collect();
    assert!(Attempt::of(&archive(&many[..100])).result.is_ok());
    assert!(matches!(Attempt::of(&archive(&many)).refused("many"), BadArchive::TooMany { limit: 100 }));
    let folders: Vec<Made> = (0..20).map(|n| made(format!("{n}/a/b/c/d/e"), b"")).collect();
    assert!(matches!(Attempt::of(&archive(&folders)).refused("many on the way"), BadArchive::TooMany { limit: 100 }));
}

#[test]
fn entries_that_share_bytes_are_refused() {
    // The core of the better bombs: one packed content, listed many times.
    let twin = Made { start: Some(0), ..made("a", b"same") };
    let other = Made { local_name: b"a".to_vec(), ..made("b", b"same") };
    assert_eq!(Attempt::of(&archive(&[twin.clone(), twin.clone()])).bad_entry("twins"), BadEntry::Twice);
    assert_eq!(Attempt::of(&archive(&[twin, Made { start: Some(0), ..other }])).bad_entry("other name"), BadEntry::Disagrees);
    // The content of one is the header of the next.
    let inner = archive(&[made("inner", b"x")]);
    let header = made("a", &inner);
    let at = (30 + 1) as u32;
    let entries = [header, Made { start: Some(at), ..made("inner", b"x") }];
    assert_eq!(Attempt::of(&archive(&entries)).bad_entry("one in another"), BadEntry::Overlaps);
    assert_eq!(Attempt::of(&archive(&entries[..1])).result.unwrap().files, 1, "an archive inside an archive is a file");
}

#[test]
fn what_has_no_single_reading_is_refused() {
    let good = archive(&[made("a", b"1")]);
    let end = good.len() - 22;
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut two_ends = good.clone();
    let second = good[end..].to_vec();
    two_ends[good.len() - 2] = 22;
    two_ends.extend(second);
    for (what, bytes) in [
        ("nothing", vec![]),
        ("text", b"not a zip at all".to_vec()),
        ("zeros", vec![0; 70_000]),
        ("only an end", b"PK\x05\x06".to_vec()),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("something behind", [good.clone(), b"x".to_vec()].concat()),
        ("something before", [b"x".to_vec(), good.clone()].concat()),
        ("two ends", two_ends),
        ("two disks", with(end + 4, 1)),
        ("more announced", {
            let mut bytes = with(end + 8, 2);
            bytes[end + 10] = 2;
            bytes
        }),
        ("less announced", {
            let mut bytes = with(end + 8, 0);
            bytes[end + 10] = 0;
            bytes
        }),
        ("list elsewhere", with(end + 16, 1)),
        ("list of something else", with(end - 47, b'X')),
    ] {
        assert!(matches!(Attempt::of(&bytes).refused(what), BadArchive::NotZip(_)), "{what}");
    }
    assert!(Attempt::of(&archive(&[])).result.is_ok(), "an empty archive is an archive");
}

#[test]
fn a_folder_that_is_there_already_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (file, code) = (dir.path().join("a.zip"), dir.path().join("code"));
    fs::write(&file, archive(&[made("a", b"1")])).unwrap();
    fs::create_dir(&code).unwrap();
    fs::write(code.join("mine"), "x").unwrap();
    let refused = unpack(File::open(&file).unwrap(), &code, &small(), &AtomicBool::new(false));
    assert!(matches!(refused, Err(BadArchive::Folder { .. })));
    assert_eq!(fs::read_to_string(code.join("mine")).unwrap(), "x");
    fs::remove_dir_all(&code).unwrap();
    let stopped = unpack(File::open(&file).unwrap(), &code, &small(), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(BadArchive::Cancelled)) && !code.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_name_ever_leads_out(names in prop::collection::vec("(\\.\\.|\\.|/|a|b|\\\\|C:|\0|~|\u{202e}|.){1,7}", 1..6)) {
        let entries: Vec<Made> = names.iter().map(|name| made(name, b"x")).collect();
        let attempt = Attempt::of(&archive(&entries));
        prop_assert_eq!(fs::read_dir(attempt.dir.path()).unwrap().count(), 2);
        let beside: Vec<_> = fs::read_dir(attempt.dir.path().join("room")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        match &attempt.result {
            Ok(unpacked) => {
                prop_assert_eq!(beside, ["code"]);
                // Every name, read as the system reads it, leads to its file inside.
                for name in names.iter().filter(|name| !name.ends_with('/')) {
                    let real = attempt.place(name).canonicalize().unwrap();
                    prop_assert!(real.starts_with(attempt.place("").canonicalize().unwrap()), "{}", real.display());
                }
                prop_assert!(unpacked.files as usize <= names.len());
            }
            Err(_) => prop_assert!(beside.is_empty()),
        }
    }

    #[test]
    fn no_bytes_ever_lead_out(changes in prop::collection::vec((0usize..400, any::<u8>()), 1..12)) {
        let mut bytes = archive(&[made("main.tf", b"# fine"), deflated("a/b/c", &[7; 5000]), made("d/", b""), made("e", b"ee")]);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let attempt = Attempt::of(&bytes);
        prop_assert_eq!(fs::read_dir(attempt.dir.path()).unwrap().count(), 2);
        if attempt.result.is_err() {
            prop_assert_eq!(fs::read_dir(attempt.dir.path().join("room")).unwrap().count(), 0);
        }
    }
}
