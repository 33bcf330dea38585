//! What is sealed opens for its recipient and its context, and for nobody and nothing else.

use super::*;

const PLAIN: &[u8] = b"AWS_SECRET_ACCESS_KEY=hunter2";

fn sealed() -> (KeyPair, Sealed) {
    let pair = KeyPair::generate();
    let sealed = seal_to(&pair.public_hex(), "run-1", PLAIN).unwrap();
    (pair, sealed)
}

#[test]
fn the_recipient_opens_what_was_sealed_to_it() {
    let (pair, sealed) = sealed();
    assert_eq!(pair.open(&sealed, "run-1").unwrap(), PLAIN);
    assert_eq!(sealed.key_id, pair.key_id());
    assert!(!format!("{sealed:?}").contains("hunter2"));
}

#[test]
fn a_key_pair_survives_text_and_halves_of_two_pairs_are_refused() {
    let (pair, sealed) = sealed();
    let again = KeyPair::from_hex(&pair.to_hex()).unwrap();
    assert_eq!(again.open(&sealed, "run-1").unwrap(), PLAIN);
    let mixed = format!("{}{}", &pair.to_hex()[..64], KeyPair::generate().public_hex());
    let private_alone = KeyPair::from_hex(&pair.to_hex()[..64]).unwrap();
    assert_eq!(private_alone.public_hex(), pair.public_hex());
    for bad in [mixed.as_str(), "", "zz", &pair.to_hex()[..62], &pair.to_hex()[..66]] {
        assert_eq!(KeyPair::from_hex(bad).err(), Some(SealError::BadKey), "{bad}");
    }
}

#[test]
fn printing_a_key_shows_no_secret() {
    let pair = KeyPair::generate();
    let private = pair.to_hex()[..64].to_owned();
    assert!(!format!("{pair:?}").contains(&private));
    assert_eq!(format!("{:?}", BlobKey::from_hex(&BlobKey::random_hex()).unwrap()), "BlobKey(***)");
}

#[test]
fn another_key_or_another_context_does_not_open_it() {
    let (pair, sealed) = sealed();
    assert_eq!(KeyPair::generate().open(&sealed, "run-1"), Err(SealError::OtherKey));
    let renamed = KeyPair::generate();
    let claimed = Sealed { key_id: renamed.key_id(), ..sealed.clone() };
    assert_eq!(renamed.open(&claimed, "run-1"), Err(SealError::Broken));
    assert_eq!(pair.open(&sealed, "run-2"), Err(SealError::Broken));
}

#[test]
fn a_flipped_bit_or_a_missing_end_does_not_open() {
    let (pair, sealed) = sealed();
    let ciphertext = STANDARD.decode(&sealed.ciphertext).unwrap();
    for at in 0..ciphertext.len() {
        let mut bent = ciphertext.clone();
        bent[at] ^= 1;
        let bent = Sealed { ciphertext: STANDARD.encode(bent), ..sealed.clone() };
        assert_eq!(pair.open(&bent, "run-1"), Err(SealError::Broken), "byte {at}");
        let short = Sealed { ciphertext: STANDARD.encode(&ciphertext[..at]), ..sealed.clone() };
        assert_eq!(pair.open(&short, "run-1"), Err(SealError::Broken), "cut at {at}");
    }
    for encapsulated in ["", "00", "zz", &"00".repeat(32), &"ff".repeat(33)] {
        let bent = Sealed { encapsulated: encapsulated.to_owned(), ..sealed.clone() };
        assert_eq!(pair.open(&bent, "run-1"), Err(SealError::Broken), "{encapsulated}");
    }
}

#[test]
fn only_a_public_key_can_be_sealed_to() {
    for bad in ["", "zz", "00", &"0".repeat(66)] {
        assert_eq!(seal_to(bad, "c", PLAIN), Err(SealError::BadKey), "{bad}");
    }
}

#[test]
fn a_blob_opens_with_its_key_and_context_only() {
    let key = BlobKey::from_hex(&BlobKey::random_hex()).unwrap();
    let other = BlobKey::from_hex(&BlobKey::random_hex()).unwrap();
    let sealed = key.seal("plan", PLAIN).unwrap();
    assert_eq!(key.open("plan", &sealed).unwrap(), PLAIN);
    assert_eq!(key.open("apply", &sealed), Err(SealError::Broken));
    assert_eq!(other.open("plan", &sealed), Err(SealError::Broken));
    assert_ne!(sealed, key.seal("plan", PLAIN).unwrap(), "no two are alike");
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 0x80;
        assert_eq!(key.open("plan", &bent), Err(SealError::Broken), "byte {at}");
        assert_eq!(key.open("plan", &sealed[..at]), Err(SealError::Broken), "cut at {at}");
    }
}

#[test]
fn an_empty_blob_can_be_sealed_and_a_bad_key_cannot_be_used() {
    let key = BlobKey::from_hex(&BlobKey::random_hex()).unwrap();
    assert_eq!(key.open("c", &key.seal("c", b"").unwrap()).unwrap(), b"");
    for bad in ["", "00", "zz", &"0".repeat(63), &"0".repeat(66)] {
        assert_eq!(BlobKey::from_hex(&Secret::new(bad)).unwrap_err(), SealError::BadKey, "{bad}");
    }
}
