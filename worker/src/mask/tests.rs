//! What masking promises: every form, every cut, nothing held without reason.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "s3cr3t/Canary+Value?=42";
const PEM: &str =
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nqZ8=\n-----END PRIVATE KEY-----\n";

fn masker(secrets: &[&str]) -> Masker {
    Masker::new(secrets).expect("these secrets fit")
}

fn in_pieces(masker: &Masker, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut out, mut stream, mut from) = (Vec::new(), masker.stream(), 0);
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.sort_unstable();
    for cut in cuts {
        stream.feed(&text[from..cut], &mut out);
        from = cut;
    }
    stream.feed(&text[from..], &mut out);
    stream.finish(&mut out);
    out
}

#[test]
fn a_secret_becomes_three_stars_wherever_it_stands() {
    let masker = masker(&[TOKEN]);
    assert_eq!(masker.mask(&format!("{TOKEN} a {TOKEN}\n{TOKEN}")), "*** a ***\n***");
    assert_eq!(masker.mask(&format!("{TOKEN}{TOKEN}")), "***", "touching secrets show no count");
    assert_eq!(masker.mask("nothing here"), "nothing here");
}

#[test]
fn one_byte_writes_hide_the_secret_and_hold_only_its_beginning() {
    let masker = masker(&[TOKEN]);
    let (mut out, mut stream) = (Vec::new(), masker.stream());
    for byte in format!("say {}", &TOKEN[..10]).as_bytes() {
        stream.feed(&[*byte], &mut out);
    }
    assert_eq!(out, b"say ", "the beginning of a secret is held, and nothing else");
    assert_eq!(stream.held(), 10);
    stream.feed(b"x", &mut out);
    assert_eq!(stream.held(), 0, "it was none: all is let go at once");
    for byte in TOKEN.as_bytes() {
        stream.feed(&[*byte], &mut out);
    }
    stream.finish(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), format!("say {}x***", &TOKEN[..10]));
}

#[test]
fn base64_is_found_at_every_alignment_in_both_alphabets() {
    let masker = masker(&[TOKEN]);
    for ahead in ["", "u", "us", "use", "user:"] {
        for engine in [&STANDARD, &URL_SAFE] {
            let encoded = engine.encode(format!("{ahead}{TOKEN}:tail"));
            let masked = masker.mask(&encoded);
            assert!(masked.contains(MASK), "{encoded} -> {masked}");
            assert!(masked.len() < encoded.len() - TOKEN.len(), "only the edges stay: {masked}");
        }
    }
}

#[test]
fn every_written_form_is_masked_whole() {
    let secret = "pä\"ss <w>'ord'\\ ${x}\n/nex&t $l1ne";
    let masker = masker(&[secret]);
    let json = serde_json::to_string(secret).expect("a string");
    let forms = [
        hex::encode(secret),
        hex::encode_upper(secret),
        "p%C3%A4%22ss%20%3Cw%3E%27ord%27%5C%20%24%7Bx%7D%0A%2Fnex%26t%20%24l1ne".into(),
        "p%c3%a4%22ss+%3cw%3e%27ord%27%5c+%24%7bx%7d%0a%2fnex%26t+%24l1ne".into(),
        json.trim_matches('"').into(),
        r#"p\u00e4\"ss <w>'ord'\\ ${x}\n/nex&t $l1ne"#.into(),
        r#"pä\"ss \u003cw\u003e'ord'\\ ${x}\n/nex\u0026t $l1ne"#.into(),
        r#"pä\"ss <w>'ord'\\ $${x}\n/nex&t $l1ne"#.into(),
        "pä\"ss <w>'\\''ord'\\''\\ ${x}\n/nex&t $l1ne".into(),
        "pä\"ss <w>'\"'\"'ord'\"'\"'\\ ${x}\n/nex&t $l1ne".into(),
        "pä\\\"ss <w>'ord'\\\\ \\${x}\n/nex&t \\$l1ne".into(),
    ];
    for form in forms {
        assert_eq!(masker.mask(&format!("<{form}>")), "<***>", "{form}");
    }
}

#[test]
fn a_key_of_many_lines_is_masked_whole_by_line_and_in_a_box() {
    let masker = masker(&[PEM]);
    assert_eq!(masker.mask(&format!("key:\n{PEM}end")), "key:\n***\nend");
    assert_eq!(masker.mask("+ BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"), "+ ***");
    let boxed = PEM.trim_end().replace('\n', "\n\x1b[31m│\x1b[0m \x1b[0m");
    let masked = masker.mask(&format!("\x1b[31m│\x1b[0m {boxed}\n│ bye"));
    assert!(!masked.contains("qZ8="), "the short last line is covered by the folded form: {masked}");
    assert!(masked.ends_with("\n│ bye"), "{masked}");
}

#[test]
fn a_value_wrapped_by_somebody_is_found() {
    let phrase = "correct horse battery staple";
    let long = "A0b1C2d3E4f5G6h7I8j9".repeat(5);
    let masker = masker(&[phrase, &long]);
    assert_eq!(masker.mask("│ Error: correct horse\n│   battery staple is wrong"), "│ Error: *** is wrong");
    let encoded = STANDARD.encode(&long);
    let masked = masker.mask(&format!("{}\n{}", &encoded[..76], &encoded[76..]));
    assert!(masked.starts_with(MASK) && masked.len() < 10, "{masked}");
}

#[test]
fn colours_inside_a_secret_do_not_break_it_and_are_kept() {
    let masker = masker(&["hunter2hunter2"]);
    assert_eq!(masker.mask("a \x1b[1mhunter2\x1b[0mhunt\x1b[31mer2\x1b[0m b"), "a \x1b[1m***\x1b[0m\x1b[31m\x1b[0m b");
}

#[test]
fn overlapping_secrets_leave_nothing_standing() {
    let masker = masker(&["abcdefgh", "efghijkl", "cdef"]);
    assert_eq!(masker.mask("-abcdefghijkl-cdefg-"), "-***-***g-");
}

#[test]
fn short_and_huge_values_are_reported() {
    let huge = "x".repeat(LONGEST + 1);
    let masker = masker(&["a", "", "   \n ", "true", "longenough", &huge]);
    let weak =
        [(0, Weakness::TooShort), (1, Weakness::TooShort), (2, Weakness::TooShort), (3, Weakness::Guessable), (5, Weakness::TooLong)];
    assert_eq!(masker.weak(), weak);
    assert_eq!(masker.mask("a true longenough"), "a *** ***");
    assert!(!format!("{masker:?}").contains("longenough"));
}

#[test]
fn endless_blanks_behind_half_a_secret_are_not_held() {
    let masker = masker(&["correct horse battery staple"]);
    let (mut out, mut stream) = (Vec::new(), masker.stream());
    stream.feed(b"correct", &mut out);
    for _ in 0..100 {
        stream.feed(&[b' '; 64], &mut out);
    }
    assert!(stream.held() < 1024, "{}", stream.held());
}

#[test]
fn binary_secrets_are_masked_raw_and_as_the_filter_shows_them() {
    let secret: &[u8] = b"\xff\xfe\x00key-material\x01\x80";
    let masker = Masker::new(&[secret]).expect("fits");
    assert_eq!(masker.mask_bytes(&[b"<", secret, b">"].concat()), b"<***>");
    assert_eq!(masker.mask("<\u{fffd}\u{fffd}key-material\u{fffd}>"), "<***>");
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{4,9}", "[a-d \n]{5,30}", "[ab ]{16,30}", "[a-z \"'/+\n│é]{6,60}"]
        .prop_filter("long enough to be masked", |s| s.trim().len() >= SHORTEST)
}

/// What may stand where a secret has a blank: a wrapper's work, or about as much as a lane gives up over.
fn blank() -> impl Strategy<Value = String> {
    let wide = (250..262_usize, any::<bool>()).prop_map(|(width, boxed)| " ".repeat(width) + if boxed { "│" } else { "" });
    prop_oneof![Just(" ".to_owned()), Just("\n│ ".to_owned()), wide]
}

proptest! {
    #[test]
    fn the_cuts_between_writes_do_not_matter(
        secrets in prop::collection::vec(secret(), 1..5),
        glue in prop::collection::vec(prop_oneof!["[ab \n]{0,5}", "(\x1b\\[[0-9;]{0,3}m|│|\x1b|\x1b\\[|é| ){0,4}"], 1..8),
        cuts in prop::collection::vec(any::<usize>(), 0..24),
        blank in blank(),
    ) {
        let masker = Masker::new(&secrets).expect("fits");
        let mut text = String::new();
        for (n, piece) in glue.iter().enumerate() {
            let secret = &secrets[n % secrets.len()];
            text += piece;
            text += &secret.replace(' ', &blank);
        }
        let whole = masker.mask_bytes(text.as_bytes());
        let pieces = in_pieces(&masker, text.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
        let singles: Vec<usize> = (0..text.len()).collect();
        prop_assert_eq!(in_pieces(&masker, text.as_bytes(), &singles), whole);
    }

    #[test]
    fn no_registered_form_survives(
        secrets in prop::collection::vec(secret(), 1..5),
        glue in prop::collection::vec("[ab\n]{0,4}", 1..12),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let mut forms = std::collections::BTreeSet::new();
        for secret in &secrets {
            forms::exact(secret.as_bytes(), &mut forms);
        }
        let forms: Vec<Vec<u8>> = forms.into_iter().collect();
        let mut text = Vec::new();
        for (piece, pick) in glue.iter().zip(&picks) {
            text.extend_from_slice(piece.as_bytes());
            let form: &Vec<u8> = pick.get(&forms);
            text.extend_from_slice(form);
        }
        let masked = Masker::new(&secrets).expect("fits").mask_bytes(&text);
        for form in &forms {
            let found = masked.windows(form.len()).any(|window| window == form.as_slice());
            prop_assert!(!found, "{:?} in {:?}", String::from_utf8_lossy(form), String::from_utf8_lossy(&masked));
        }
    }
}
