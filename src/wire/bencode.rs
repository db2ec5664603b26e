//! Bencode decoder and encoder (BEP 3). The decoder borrows from its input.
//!
//! [`Value::parse`] validates nesting depth, token count and syntax in one pass, without recursion or allocation.
//! A [`Value`] is a view of validated bytes, so accessors do not return parse errors, and [`Value::raw`] is the exact
//! input span: the info-hash is the SHA-1 of that span, never of a re-encoding.
//!
//! Accepted although BEP 3 forbids it, because it occurs in practice: unsorted keys, duplicate keys (the first one
//! wins), integers with leading zeros, `-0`.
//!
//! Crates that were looked at: `serde_bencode` reads into types and keeps no span of the input, `bendy` refuses unsorted
//! keys, `bip_bencode` builds a tree by recursion.

mod encode;

use thiserror::Error;

use crate::limits;

pub use encode::OwnedValue;

// The validator stores one bit per open container: set for a dictionary, clear for a list.
const _: () = assert!(limits::BENCODE_DEPTH <= 64, "the reader keeps its open containers in 64 bits");

/// Maximum number of digits in an integer or a string length; a 64-bit value needs fewer.
const DIGITS: usize = 24;

/// Error of parsing bencode. `at` is a byte offset from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BencodeError {
    /// The input ends inside a value.
    #[error("it ends in the middle (byte {at})")]
    UnexpectedEnd { at: usize },
    #[error("it is nested too deep (more than {max} levels at byte {at})")]
    TooDeep { at: usize, max: usize },
    /// More values than [`limits::BENCODE_TOKENS`].
    #[error("it holds too many values (more than {max})")]
    TooMany { max: usize },
    /// A byte that cannot start a value.
    #[error("byte {at} ({byte:#04x}) begins no value")]
    Unexpected { at: usize, byte: u8 },
    /// An integer without digits, with a character other than a digit, or with too many digits.
    #[error("the number at byte {at} is malformed")]
    BadNumber { at: usize },
    /// A string length that is malformed, has too many digits or exceeds 64 bits.
    #[error("the length of the string at byte {at} is malformed")]
    BadLength { at: usize },
    /// A string whose length exceeds the remaining input.
    #[error("it ends in the middle: the string at byte {at} claims {claims} bytes, {left} are left")]
    PastEnd {
        at: usize,
        /// The declared length.
        claims: u64,
        /// The number of bytes that follow the colon.
        left: usize,
    },
    /// A dictionary key that is not a byte string.
    #[error("the dictionary key at byte {at} is not a string")]
    BadKey { at: usize },
    /// A dictionary whose last key has no value.
    #[error("the dictionary that ends at byte {at} has a key without a value")]
    NoValue {
        /// Offset of the closing `e`.
        at: usize,
    },
    /// Bytes after the end of the top-level value.
    #[error("something follows after the end (byte {at})")]
    Trailing { at: usize },
}

/// The four bencode types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `i..e`
    Integer,
    /// `n:..`
    ByteString,
    /// `l..e`
    List,
    /// `d..e`
    Dictionary,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Integer => "a number",
            Kind::ByteString => "a text",
            Kind::List => "a list",
            Kind::Dictionary => "a dictionary",
        })
    }
}

/// A bencoded value: a view of bytes that have been validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value<'a> {
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// Parses `bytes` as exactly one value.
    ///
    /// # Errors
    /// If `bytes` are malformed, nested too deep, hold too many values, or continue after the value.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        match Self::parse_prefix(bytes)? {
            (value, []) => Ok(value),
            (value, _) => Err(BencodeError::Trailing { at: value.raw.len() }),
        }
    }

    /// Parses the value at the start of `bytes` and returns it with the remaining bytes.
    ///
    /// # Errors
    /// If there is no valid value at the start.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BencodeError> {
        let end = validate(bytes)?;
        Ok((Value { raw: &bytes[..end] }, &bytes[end..]))
    }

    /// Returns the encoded bytes of this value.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns the type of this value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.raw.first() {
            Some(b'i') => Kind::Integer,
            Some(b'l') => Kind::List,
            Some(b'd') => Kind::Dictionary,
            _ => Kind::ByteString,
        }
    }

    /// Returns the integer; `None` for other types and for integers that do not fit `i64`.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        let digits = self.raw.strip_prefix(b"i")?.strip_suffix(b"e")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Returns the content of a byte string; `None` for other types.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        if self.kind() != Kind::ByteString {
            return None;
        }
        let colon = self.raw.iter().position(|b| *b == b':')?;
        self.raw.get(colon + 1..)
    }

    /// Returns an iterator over the elements of a list; `None` for other types.
    #[must_use]
    pub fn list(&self) -> Option<Items<'a>> {
        self.raw.strip_prefix(b"l").map(|rest| Items { rest })
    }

    /// Returns an iterator over the entries of a dictionary in input order; `None` for other types.
    #[must_use]
    pub fn dictionary(&self) -> Option<Entries<'a>> {
        self.raw.strip_prefix(b"d").map(|rest| Entries { items: Items { rest } })
    }

    /// Returns the first value of `key`; `None` if this is no dictionary or has no such key.
    ///
    /// Linear in the size of the dictionary. To read several keys, iterate once over [`Value::dictionary`].
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        self.dictionary()?.find(|(k, _)| *k == key).map(|(_, v)| v)
    }
}

/// Iterator over the elements of a list.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let end = skip(self.rest)?;
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Value { raw })
    }
}

/// Iterator over the keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    items: Items<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.items.next()?.as_bytes()?;
        Some((key, self.items.next()?))
    }
}

/// Validates the value at the start of `bytes` and returns the offset of its end.
fn validate(bytes: &[u8]) -> Result<usize, BencodeError> {
    let mut at = 0;
    let mut depth = 0;
    let mut dictionaries = 0_u64;
    let mut key_next = false;
    let mut values = 0;
    loop {
        let Some(&byte) = bytes.get(at) else {
            return Err(BencodeError::UnexpectedEnd { at });
        };
        let in_dictionary = depth > 0 && dictionaries >> (depth - 1) & 1 == 1;
        if byte == b'e' && depth > 0 {
            if in_dictionary && !key_next {
                return Err(BencodeError::NoValue { at });
            }
            depth -= 1;
            at += 1;
        } else {
            values += 1;
            if values > limits::BENCODE_TOKENS {
                return Err(BencodeError::TooMany { max: limits::BENCODE_TOKENS });
            }
            if in_dictionary && key_next && !byte.is_ascii_digit() {
                return Err(BencodeError::BadKey { at });
            }
            match byte {
                b'd' | b'l' => {
                    if depth == limits::BENCODE_DEPTH {
                        return Err(BencodeError::TooDeep { at, max: limits::BENCODE_DEPTH });
                    }
                    let bit = 1 << depth;
                    dictionaries = if byte == b'd' { dictionaries | bit } else { dictionaries & !bit };
                    key_next = byte == b'd';
                    depth += 1;
                    at += 1;
                    continue;
                }
                b'i' => at = validate_integer(bytes, at)?,
                b'0'..=b'9' => {
                    at = validate_string(bytes, at)?;
                    if in_dictionary && key_next {
                        key_next = false;
                        continue;
                    }
                }
                _ => return Err(BencodeError::Unexpected { at, byte }),
            }
        }
        // A value has ended. In a dictionary, a key comes next; in a list, `key_next` has no effect.
        if depth == 0 {
            return Ok(at);
        }
        key_next = true;
    }
}

/// Validates the integer at `at` and returns the offset of its end.
fn validate_integer(bytes: &[u8], at: usize) -> Result<usize, BencodeError> {
    let from = at + 1 + usize::from(bytes.get(at + 1) == Some(&b'-'));
    let digits = digits(bytes, from);
    match bytes.get(from + digits) {
        Some(b'e') if (1..=DIGITS).contains(&digits) => Ok(from + digits + 1),
        None if digits <= DIGITS => Err(BencodeError::UnexpectedEnd { at: bytes.len() }),
        _ => Err(BencodeError::BadNumber { at }),
    }
}

/// Validates the byte string at `at` and returns the offset of its end.
fn validate_string(bytes: &[u8], at: usize) -> Result<usize, BencodeError> {
    let digits = digits(bytes, at);
    match bytes.get(at + digits) {
        Some(b':') if digits <= DIGITS => {}
        None if digits <= DIGITS => return Err(BencodeError::UnexpectedEnd { at: bytes.len() }),
        _ => return Err(BencodeError::BadLength { at }),
    }
    let claims = length(&bytes[at..at + digits]).ok_or(BencodeError::BadLength { at })?;
    let from = at + digits + 1;
    let left = bytes.len() - from;
    match usize::try_from(claims) {
        Ok(n) if n <= left => Ok(from + n),
        _ => Err(BencodeError::PastEnd { at, claims, left }),
    }
}

/// Counts the digits at `at`, up to `DIGITS + 1`.
fn digits(bytes: &[u8], at: usize) -> usize {
    bytes.iter().skip(at).take(DIGITS + 1).take_while(|b| b.is_ascii_digit()).count()
}

/// Returns the number that ASCII digits denote, or `None` if it exceeds 64 bits.
fn length(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')))
}

/// Returns the length of the value at the start of validated bytes; `None` at the end of a container.
fn skip(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'e' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b'd' | b'l' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'i' => at += 1 + bytes[at..].iter().position(|b| *b == b'e')?,
            _ => {
                let digits = digits(bytes, at);
                at += digits + 1 + usize::try_from(length(&bytes[at..at + digits])?).ok()?;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_knows_its_kind_its_content_and_its_bytes() {
        let raw = b"d1:bli-7e3:abce1:ade4:skipd1:xllleeee1:bi9ee";
        let value = Value::parse(raw).unwrap();
        assert_eq!(value.kind(), Kind::Dictionary);
        assert_eq!(value.raw(), raw);
        let list: Vec<_> = value.get(b"b").unwrap().list().unwrap().collect();
        assert_eq!(list[0].as_integer(), Some(-7), "the first of two equal keys counts");
        assert_eq!(list[1].as_bytes(), Some(&b"abc"[..]));
        assert_eq!(value.get(b"a").unwrap().raw(), b"de");
        let keys: Vec<_> = value.dictionary().unwrap().map(|(k, _)| k).collect();
        assert_eq!(keys, [&b"b"[..], b"a", b"skip", b"b"]);
        assert_eq!(value.get(b"zz"), None);
    }

    #[test]
    fn what_is_no_bencode_is_refused_with_its_place() {
        use BencodeError as E;
        let cases: &[(&[u8], E)] = &[
            (b"", E::UnexpectedEnd { at: 0 }),
            (b"x", E::Unexpected { at: 0, byte: b'x' }),
            (b"e", E::Unexpected { at: 0, byte: b'e' }),
            (b"ie", E::BadNumber { at: 0 }),
            (b"i-e", E::BadNumber { at: 0 }),
            (b"i+5e", E::BadNumber { at: 0 }),
            (b"i4x0e", E::BadNumber { at: 0 }),
            (b"i12", E::UnexpectedEnd { at: 3 }),
            (b"li1e", E::UnexpectedEnd { at: 4 }),
            (b"5:abc", E::PastEnd { at: 0, claims: 5, left: 3 }),
            (b"4294967295:abc", E::PastEnd { at: 0, claims: 4_294_967_295, left: 3 }),
            (b"18446744073709551619:abc", E::BadLength { at: 0 }),
            (b"-1:abc", E::Unexpected { at: 0, byte: b'-' }),
            (b"5abc", E::BadLength { at: 0 }),
            (b"di1ei2ee", E::BadKey { at: 1 }),
            (b"d1:ae", E::NoValue { at: 4 }),
            (b"i1ei2e", E::Trailing { at: 3 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(Value::parse(bytes), Err(*error), "{}", bytes.escape_ascii());
        }
        let long = [b"i".to_vec(), vec![b'9'; 100_000], b"e".to_vec()].concat();
        assert_eq!(Value::parse(&long), Err(E::BadNumber { at: 0 }));
    }

    #[test]
    fn odd_numbers_of_the_wild_are_taken() {
        for (raw, n) in [("i-0e", Some(0)), ("i0040e", Some(40)), ("i9223372036854775808e", None), ("i-5e", Some(-5))] {
            assert_eq!(Value::parse(raw.as_bytes()).unwrap().as_integer(), n, "{raw}");
        }
    }

    #[test]
    fn nesting_is_counted_not_followed() {
        let nested = |n: usize| [vec![b'l'; n], vec![b'e'; n]].concat();
        assert!(Value::parse(&nested(limits::BENCODE_DEPTH)).is_ok());
        for n in [limits::BENCODE_DEPTH + 1, 200_000] {
            assert!(matches!(Value::parse(&nested(n)), Err(BencodeError::TooDeep { .. })));
        }
        let many = [vec![b'l'], b"le".repeat(limits::BENCODE_TOKENS), vec![b'e']].concat();
        assert!(matches!(Value::parse(&many), Err(BencodeError::TooMany { .. })));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let item = OwnedValue::dictionary([
            ("z", OwnedValue::from(-1)),
            (
                "a",
                OwnedValue::from(vec![
                    OwnedValue::from("x"),
                    OwnedValue::dictionary([("k", OwnedValue::List(vec![]))]),
                ]),
            ),
        ]);
        assert_eq!(item.encode(), b"d1:al1:xd1:kleee1:zi-1ee");
        assert!(Value::parse(&item.encode()).is_ok());
    }
}
