//! From when until when is a certificate valid?
//!
//! The only question that the server has about its own certificate beyond what rustls asks. So it steps through the DER
//! to the one place that answers, and understands nothing else.
//!
//! ```text
//! SEQUENCE { SEQUENCE { [0] version?, INTEGER serial, SEQUENCE algorithm, SEQUENCE issuer,
//!                       SEQUENCE { time notBefore, time notAfter }, .. }, .. }
//! ```

use factum_core::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The time in which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Reads it; `None` where this is no certificate.
pub(super) fn of(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = skip(rest)?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = skip(rest)?;
    }
    let (validity, _) = take(rest, SEQUENCE)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some(Validity { not_before, not_after })
}

/// The tag and contents of the first value, and what follows it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    value(der).filter(|(found, ..)| *found == tag).map(|(_, contents, rest)| (contents, rest))
}

fn skip(der: &[u8]) -> Option<&[u8]> {
    value(der).map(|(_, _, rest)| rest)
}

fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, contents, rest) = value(der)?;
    let text = std::str::from_utf8(contents).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let full = match (tag, text.len()) {
        (GENERALIZED_TIME, 14) => text.to_owned(),
        // Two digits are of 1950 to 2049.
        (UTC_TIME, 12) => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        _ => return None,
    };
    let part = |from: usize, to: usize| &full[from..to];
    let moment = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    // The last seconds of the year 9999 stand for "never", and are beyond what a timestamp parses.
    let never = full.starts_with("9999").then_some(Timestamp::MAX);
    Some((Timestamp::parse(&moment).ok().or(never)?, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: i32, to: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from, 2, 3);
        params.not_after = date_time_ymd(to, 4, 5);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (from, to) in [(1975, 2049), (2026, 2050), (2051, 4096)] {
            let validity = of(&certificate(from, to)).expect("a certificate");
            let moment =
                |year: i32, day| Timestamp::parse(&format!("{year}-{day}T00:00:00Z")).expect("a moment");
            assert_eq!(validity.not_before, moment(from, "02-03"));
            assert_eq!(validity.not_after, moment(to, "04-05"));
        }
    }

    #[test]
    fn a_certificate_for_ever_is_read() {
        let mut der = vec![GENERALIZED_TIME, 15];
        der.extend(b"99991231235959Z");
        assert_eq!(time(&der), Some((Timestamp::MAX, &[][..])));
        der[2..6].copy_from_slice(b"2026");
        assert!(time(&der).is_some_and(|(at, _)| at < Timestamp::MAX));
        der[6..8].copy_from_slice(b"13");
        assert_eq!(time(&der), None);
    }

    #[test]
    fn what_is_cut_or_changed_never_panics() {
        let whole = certificate(2026, 2050);
        for length in 0..whole.len() {
            assert_eq!(of(&whole[..length]), None, "{length} bytes");
        }
        for index in 0..whole.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[index] = byte;
                let _ = of(&changed);
            }
        }
    }
}
