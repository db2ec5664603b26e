//! Diffie-Hellman key exchange of MSE, with a prime of 768 bits.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, const_monty_params};

const_monty_params!(
    Prime,
    U768,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
     EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563"
);

type FieldElement = ConstMontyForm<Prime, { U768::LIMBS }>;

/// Length of a public key and of the shared secret in bytes.
pub const KEY: usize = 96;
/// Length of a private key in bytes; the MSE specification requires at least 16 and recommends 20.
pub const PRIVATE: usize = 20;

/// Returns the public key of a private key.
#[must_use]
pub fn public(private: &[u8; PRIVATE]) -> [u8; KEY] {
    raised(&U768::from_u8(2), private)
}

/// Returns the shared secret; `None` if `theirs` is not a valid public key.
///
/// Rejects 0, 1 and `p - 1`, which lead to a trivial secret, and values of `p` or more.
#[must_use]
pub fn secret(private: &[u8; PRIVATE], theirs: &[u8; KEY]) -> Option<[u8; KEY]> {
    let theirs = U768::from_be_slice(theirs);
    let top = FieldElement::MODULUS.as_ref().wrapping_sub(&U768::ONE);
    (theirs > U768::ONE && theirs < top).then(|| raised(&theirs, private))
}

/// Modular exponentiation. The run time does not depend on the private key.
fn raised(base: &U768, private: &[u8; PRIVATE]) -> [u8; KEY] {
    let mut wide = [0; U192::BYTES];
    wide[U192::BYTES - PRIVATE..].copy_from_slice(private);
    let power = FieldElement::new(base).pow_bounded_exp(&U192::from_be_slice(&wide), 8 * PRIVATE as u32);
    power.retrieve().to_be_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let (a, b) = ([3; PRIVATE], [250; PRIVATE]);
        let secrets = (secret(&a, &public(&b)), secret(&b, &public(&a)));
        assert!(secrets.0.is_some() && secrets.0 == secrets.1);
    }

    #[test]
    fn keys_that_give_known_secrets_are_none() {
        let prime = FieldElement::MODULUS.as_ref();
        let two = U768::from_u8(2);
        for (key, good) in [
            (U768::ZERO, false),
            (U768::ONE, false),
            (two, true),
            (prime.wrapping_sub(&two), true),
            (prime.wrapping_sub(&U768::ONE), false),
            (*prime, false),
            (prime.wrapping_add(&U768::ONE), false),
            (U768::MAX, false),
        ] {
            let key: [u8; KEY] = key.to_be_bytes().into();
            assert_eq!(secret(&[7; PRIVATE], &key).is_some(), good, "{key:02x?}");
        }
    }

    #[test]
    fn small_powers_are_right() {
        let mut private = [0; PRIVATE];
        private[PRIVATE - 1] = 10;
        let mut want = [0; KEY];
        want[KEY - 2..].copy_from_slice(&1024_u16.to_be_bytes());
        assert_eq!(public(&private), want);
        // A shared secret with leading zeros keeps its 96 bytes.
        let mut four = [0; KEY];
        four[KEY - 1] = 4;
        want[KEY - 3..].copy_from_slice(&[0x10, 0, 0]);
        assert_eq!(secret(&private, &four), Some(want));
    }
}
