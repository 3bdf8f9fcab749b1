//! How a record is written: one byte of version, then postcard. Every version names its predecessor and comes from it.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A version of a record.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// Its number, one above its predecessor's.
    const VERSION: u8;
    /// The version before it; [`Nothing`] for the first.
    type Previous: Record + Into<Self>;
}

/// The predecessor of a first version: there is no such record.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Nothing {}

impl Record for Nothing {
    const VERSION: u8 = 0;
    type Previous = Self;
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// They have a version that is not known here.
    Version(u8),
    /// They are not what their version says.
    Malformed,
}

/// The bytes of `record`.
pub(super) fn encode<R: Record>(record: &R) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(record, vec![R::VERSION])
}

/// The record of these bytes, brought up from the version in which they were written.
pub(super) fn decode<R: Record>(bytes: &[u8]) -> Result<R, Undecodable> {
    let (version, body) = bytes.split_first().ok_or(Undecodable::Malformed)?;
    match *version {
        0 => Err(Undecodable::Version(0)),
        version if version > R::VERSION => Err(Undecodable::Version(version)),
        version if version < R::VERSION => decode::<R::Previous>(bytes).map(Into::into),
        _ => match postcard::take_from_bytes(body) {
            Ok((record, [])) => Ok(record),
            _ => Err(Undecodable::Malformed),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct First {
        name: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Second {
        name: String,
        length: u32,
    }

    impl Record for First {
        const VERSION: u8 = 1;
        type Previous = Nothing;
    }

    impl From<Nothing> for First {
        fn from(nothing: Nothing) -> Self {
            match nothing {}
        }
    }

    impl Record for Second {
        const VERSION: u8 = 2;
        type Previous = First;
    }

    impl From<First> for Second {
        fn from(first: First) -> Self {
            let length = u32::try_from(first.name.len()).unwrap();
            Self { name: first.name, length }
        }
    }

    #[test]
    fn reads_what_its_predecessor_wrote() {
        let bytes = encode(&First { name: "abc".into() }).unwrap();
        assert_eq!(decode(&bytes), Ok(Second { name: "abc".into(), length: 3 }));
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let record = Second { name: "abc".into(), length: 7 };
        assert_eq!(decode(&encode(&record).unwrap()), Ok(record));
    }

    #[test]
    fn refuses_a_version_that_it_does_not_know() {
        let mut bytes = encode(&Second { name: "abc".into(), length: 3 }).unwrap();
        bytes[0] = 3;
        assert_eq!(decode::<Second>(&bytes), Err(Undecodable::Version(3)));
        bytes[0] = 0;
        assert_eq!(decode::<Second>(&bytes), Err(Undecodable::Version(0)));
    }

    #[test]
    fn refuses_what_is_cut_off_or_goes_on() {
        let mut bytes = encode(&First { name: "abc".into() }).unwrap();
        bytes.push(0);
        assert_eq!(decode::<First>(&bytes), Err(Undecodable::Malformed));
        assert_eq!(decode::<First>(&bytes[..3]), Err(Undecodable::Malformed));
        assert_eq!(decode::<First>(&[]), Err(Undecodable::Malformed));
    }
}
