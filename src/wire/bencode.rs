//! Bencode (BEP 3): a reader that borrows, and a small writer.
//!
//! The reader walks the bytes once, without recursion and without reserving anything, and judges nesting, number of
//! values and syntax. A [`Value`] is then a view of bytes that are known to be good, so it can be walked again without
//! errors and always knows its raw span: the info-hash is the hash of that span and never of a re-encoding.
//!
//! What exists in the wild is taken as it is: keys out of order, keys twice (the first one counts), numbers with
//! leading zeros, `-0`.

mod item;

use thiserror::Error;

use crate::limits;

pub use item::Item;

// One bit a level remembers whether it is a dictionary.
const _: () = assert!(limits::BENCODE_DEPTH <= 64, "the reader keeps its open containers in 64 bits");

/// The longest run of digits taken for a number or a length: more than any 64-bit value needs.
const DIGITS: usize = 24;

/// Why bytes are not bencode. `at` counts bytes from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BencodeError {
    /// The bytes end inside a value.
    #[error("it ends in the middle (byte {at})")]
    Ends {
        /// Where it ends.
        at: usize,
    },
    /// Containers lie too deep in each other.
    #[error("it is nested too deep (more than {max} levels at byte {at})")]
    TooDeep {
        /// Where.
        at: usize,
        /// The most that is taken.
        max: usize,
    },
    /// There are too many values.
    #[error("it holds too many values (more than {max})")]
    TooMany {
        /// The most that is taken.
        max: usize,
    },
    /// A byte that begins no value.
    #[error("byte {at} ({byte:#04x}) begins no value")]
    Unexpected {
        /// Where.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// A number without digits, with other signs than digits, or far too long.
    #[error("the number at byte {at} is malformed")]
    BadNumber {
        /// Where it begins.
        at: usize,
    },
    /// The length of a string is malformed or far too long.
    #[error("the length of the string at byte {at} is malformed")]
    BadLength {
        /// Where it begins.
        at: usize,
    },
    /// A string that would be longer than what is left.
    #[error("it ends in the middle: the string at byte {at} claims {claims} bytes, {left} are left")]
    PastEnd {
        /// Where it begins.
        at: usize,
        /// The length it claims.
        claims: u64,
        /// The bytes that follow.
        left: usize,
    },
    /// A dictionary key that is no string.
    #[error("the dictionary key at byte {at} is not a string")]
    BadKey {
        /// Where.
        at: usize,
    },
    /// A dictionary that ends after a key.
    #[error("the dictionary that ends at byte {at} has a key without a value")]
    NoValue {
        /// Where it ends.
        at: usize,
    },
    /// Bytes after the end of the value.
    #[error("something follows after the end (byte {at})")]
    Trailing {
        /// Where.
        at: usize,
    },
}

/// The four kinds of value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `i..e`
    Number,
    /// `n:..`
    Text,
    /// `l..e`
    List,
    /// `d..e`
    Dictionary,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::List => "a list",
            Kind::Dictionary => "a dictionary",
        })
    }
}

/// One value: a view of bytes that were judged to be good bencode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value<'a> {
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// Reads bytes that are one value and nothing else.
    ///
    /// # Errors
    /// When they are not bencode, too deep, too many values, or followed by something.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        match Self::parse_prefix(bytes)? {
            (value, []) => Ok(value),
            (value, _) => Err(BencodeError::Trailing { at: value.raw.len() }),
        }
    }

    /// Reads the value at the front of `bytes`; also returns what follows it.
    ///
    /// # Errors
    /// When there is no good value at the front.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BencodeError> {
        let end = judge(bytes)?;
        Ok((Value { raw: &bytes[..end] }, &bytes[end..]))
    }

    /// The value's bytes as they stand.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.raw.first() {
            Some(b'i') => Kind::Number,
            Some(b'l') => Kind::List,
            Some(b'd') => Kind::Dictionary,
            _ => Kind::Text,
        }
    }

    /// The number, if it is one that fits 64 bits with sign.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        let digits = self.raw.strip_prefix(b"i")?.strip_suffix(b"e")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The bytes of the string, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&'a [u8]> {
        if self.kind() != Kind::Text {
            return None;
        }
        let colon = self.raw.iter().position(|b| *b == b':')?;
        self.raw.get(colon + 1..)
    }

    /// The values of the list, if it is one.
    #[must_use]
    pub fn list(&self) -> Option<Items<'a>> {
        self.raw.strip_prefix(b"l").map(|rest| Items { rest })
    }

    /// Keys and values of the dictionary in the order in which they stand, if it is one.
    #[must_use]
    pub fn dictionary(&self) -> Option<Entries<'a>> {
        self.raw.strip_prefix(b"d").map(|rest| Entries { items: Items { rest } })
    }

    /// The first value of this key, if this is a dictionary that has it. Walks the dictionary: where many keys
    /// are wanted, walk it once with [`Value::dictionary`].
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        self.dictionary()?.find(|(k, _)| *k == key).map(|(_, v)| v)
    }
}

/// The values of a list.
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

/// The keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    items: Items<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.items.next()?.text()?;
        Some((key, self.items.next()?))
    }
}

/// Judges the value at the front of `bytes` and returns where it ends.
fn judge(bytes: &[u8]) -> Result<usize, BencodeError> {
    let mut at = 0;
    let mut depth = 0;
    let mut dictionaries = 0_u64;
    let mut key_next = false;
    let mut values = 0;
    loop {
        let Some(&byte) = bytes.get(at) else {
            return Err(BencodeError::Ends { at });
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
                b'i' => at = judge_number(bytes, at)?,
                b'0'..=b'9' => {
                    at = judge_string(bytes, at)?;
                    if in_dictionary && key_next {
                        key_next = false;
                        continue;
                    }
                }
                _ => return Err(BencodeError::Unexpected { at, byte }),
            }
        }
        // A value has ended; the container around it, if it is a dictionary, wants a key next.
        if depth == 0 {
            return Ok(at);
        }
        key_next = true;
    }
}

/// Judges the number at `at` and returns where it ends.
fn judge_number(bytes: &[u8], at: usize) -> Result<usize, BencodeError> {
    let from = at + 1 + usize::from(bytes.get(at + 1) == Some(&b'-'));
    let digits = digits(bytes, from);
    match bytes.get(from + digits) {
        Some(b'e') if (1..=DIGITS).contains(&digits) => Ok(from + digits + 1),
        None if digits <= DIGITS => Err(BencodeError::Ends { at: bytes.len() }),
        _ => Err(BencodeError::BadNumber { at }),
    }
}

/// Judges the string at `at` and returns where it ends.
fn judge_string(bytes: &[u8], at: usize) -> Result<usize, BencodeError> {
    let digits = digits(bytes, at);
    match bytes.get(at + digits) {
        Some(b':') if digits <= DIGITS => {}
        None if digits <= DIGITS => return Err(BencodeError::Ends { at: bytes.len() }),
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

/// How many digits stand at `at`, counted up to one more than are taken.
fn digits(bytes: &[u8], at: usize) -> usize {
    bytes.iter().skip(at).take(DIGITS + 1).take_while(|b| b.is_ascii_digit()).count()
}

/// The value of digits; nothing when it does not fit.
fn length(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')))
}

/// Where the value at the front of judged bytes ends; nothing at the end of a container.
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
        assert_eq!(list[0].number(), Some(-7), "the first of two equal keys counts");
        assert_eq!(list[1].text(), Some(&b"abc"[..]));
        assert_eq!(value.get(b"a").unwrap().raw(), b"de");
        let keys: Vec<_> = value.dictionary().unwrap().map(|(k, _)| k).collect();
        assert_eq!(keys, [&b"b"[..], b"a", b"skip", b"b"]);
        assert_eq!(value.get(b"zz"), None);
    }

    #[test]
    fn what_is_no_bencode_is_refused_with_its_place() {
        use BencodeError as E;
        let cases: &[(&[u8], E)] = &[
            (b"", E::Ends { at: 0 }),
            (b"x", E::Unexpected { at: 0, byte: b'x' }),
            (b"e", E::Unexpected { at: 0, byte: b'e' }),
            (b"ie", E::BadNumber { at: 0 }),
            (b"i-e", E::BadNumber { at: 0 }),
            (b"i+5e", E::BadNumber { at: 0 }),
            (b"i4x0e", E::BadNumber { at: 0 }),
            (b"i12", E::Ends { at: 3 }),
            (b"li1e", E::Ends { at: 4 }),
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
            assert_eq!(Value::parse(raw.as_bytes()).unwrap().number(), n, "{raw}");
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
        let item = Item::dictionary([
            ("z", Item::from(-1)),
            ("a", Item::from(vec![Item::from("x"), Item::dictionary([("k", Item::List(vec![]))])])),
        ]);
        assert_eq!(item.encode(), b"d1:al1:xd1:kleee1:zi-1ee");
        assert!(Value::parse(&item.encode()).is_ok());
    }
}
