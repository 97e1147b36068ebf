//! Decrypts files written by the `age` program.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// Generated for these files by age-keygen 1.1.1.
const KEY: &str = "AGE-SECRET-KEY-1RTQWNDY5PXVF5V2QKG4W4SDGA5CSSD8XK6JPEZ0H4VTAHXG709JS0E5J94";
const PUBLIC: &str = "age1zhg25fzwuyprlhnkwkv5vsw5t9xclea702vpsj4s5nauns33fvgs9zwk0u";
/// Written by age 1.1.1: `age --armor --recipient`, and `age --armor --passphrase`.
const TO_A_KEY: &str = include_str!("to-a-key.age");
const TO_A_PASSPHRASE: &str = include_str!("to-a-passphrase.age");
const WRITTEN: &[u8] = b"what age itself wrote";
const WORK: u8 = 4;

fn key() -> Identity {
    KEY.parse().unwrap()
}

#[test]
fn files_of_age_are_decrypted_with_their_key_only() {
    let sealed = Sealed::parse(TO_A_KEY).unwrap();
    assert!(!sealed.is_by_passphrase());
    assert_eq!(sealed.open(&key()).unwrap().unwrap().as_slice(), WRITTEN);
    let other = Identity::generate().unwrap();
    assert_eq!(sealed.open(&other).unwrap(), None);
}

#[test]
fn files_of_age_are_decrypted_with_their_passphrase_only() {
    let sealed = Sealed::parse(TO_A_PASSPHRASE).unwrap();
    assert!(sealed.is_by_passphrase());
    let open = |text: &str, most: u8| sealed.open_by_passphrase(text, most);
    assert_eq!(
        open("correct horse", 18).unwrap().unwrap().as_slice(),
        WRITTEN
    );
    assert_eq!(open("battery staple", 18).unwrap(), None);
    let too_much = Error::TooMuchWork {
        asked: 18,
        most: 17,
    };
    assert_eq!(open("correct horse", 17), Err(too_much));
}

#[test]
fn keys_have_ages_format() {
    assert_eq!(key().to_public().to_string(), PUBLIC);
    assert_eq!(PUBLIC.parse(), Ok(key().to_public()));
    assert_eq!(key().expose().as_str(), KEY);
    let file = format!("# created: today\n\n{KEY}\n# another\n");
    assert_eq!(identities(&file).unwrap().len(), 1);
    for (text, line) in [("s3cr3t\n", 1), ("# ok\nAGE-SECRET-KEY-1NO\n", 2)] {
        let error = identities(text).unwrap_err();
        assert!(error.starts_with(&format!("line {line} ")), "{error}");
        assert!(!error.contains("s3cr3t"));
    }
    for wrong in [
        KEY,
        "age1",
        "age1qqqq",
        &PUBLIC[..40],
        &PUBLIC.replace("age1", "bge1"),
    ] {
        assert!(wrong.parse::<Recipient>().is_err(), "{wrong}");
    }
    assert!(KEY.to_lowercase().parse::<Identity>().is_err());
}

#[test]
fn every_length_round_trips() {
    let keys = [Identity::generate().unwrap(), key()];
    let recipients: Vec<Recipient> = keys.iter().map(Identity::to_public).collect();
    for length in [0, 1, 63, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let plain: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
        let sealed = encrypt(&To::Recipients(&recipients), &plain).unwrap();
        let sealed = Sealed::parse(&sealed).unwrap();
        for key in &keys {
            assert_eq!(*sealed.open(key).unwrap().unwrap(), plain, "{length}");
        }
    }
    let passphrase = To::Passphrase {
        text: "correct horse",
        work: WORK,
    };
    let sealed = Sealed::parse(&encrypt(&passphrase, WRITTEN).unwrap()).unwrap();
    let opened = sealed.open_by_passphrase("correct horse", WORK).unwrap();
    assert_eq!(opened.unwrap().as_slice(), WRITTEN);
    assert_eq!(sealed.open_by_passphrase("correct", WORK).unwrap(), None);
    assert!(encrypt(&To::Recipients(&[]), WRITTEN).is_err());
}

#[test]
fn changed_or_truncated_files_are_never_decrypted() {
    let file = armor::unwrap(TO_A_KEY).unwrap();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let opened = Sealed::parse(&armor::wrap(&changed)).and_then(|sealed| sealed.open(&key()));
        assert!(!matches!(opened, Ok(Some(_))), "byte {at}");
        let cut = Sealed::parse(&armor::wrap(&file[..at])).and_then(|sealed| sealed.open(&key()));
        assert!(!matches!(cut, Ok(Some(_))), "cut at {at}");
    }
    // A missing last chunk, cut at the chunk's boundary.
    let recipients = [key().to_public()];
    let sealed = encrypt(&To::Recipients(&recipients), &[7; 131_072]).unwrap();
    let file = armor::unwrap(&sealed).unwrap();
    let cut = armor::wrap(&file[..file.len() - 65_552]);
    assert!(Sealed::parse(&cut).unwrap().open(&key()).is_err());
    // Other text.
    for text in [
        "",
        "age",
        &TO_A_KEY.replace("BEGIN", "START"),
        &format!("{TO_A_KEY}more"),
    ] {
        assert!(Sealed::parse(text).is_err());
    }
}

/// A stanza of an unknown kind, as other programs add, for another recipient.
#[test]
fn files_with_unknown_recipients_are_decrypted() {
    let file_key = FileKey::random().unwrap();
    let unknown = Stanza {
        kind: "ssh-ed25519".to_owned(),
        arguments: vec!["xyz".to_owned()],
        body: vec![1; 48],
    };
    let own = key().to_public().wrap(&file_key).unwrap();
    let mut file = Header::new(vec![unknown, own]).render(&file_key).unwrap();
    payload::encrypt(&file_key, WRITTEN, &mut file).unwrap();
    let sealed = Sealed::parse(&armor::wrap(&file)).unwrap();
    assert_eq!(sealed.open(&key()).unwrap().unwrap().as_slice(), WRITTEN);
}
