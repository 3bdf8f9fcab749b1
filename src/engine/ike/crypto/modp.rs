//! Diffie-Hellman over the integers: the MODP groups of RFC 2409, section 6.2 and RFC 3526.
//!
//! Exponents are secret: `crypto-bigint` raises to them in constant time.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U384, Uint};
use zeroize::Zeroizing;

/// Bytes of a private exponent, enough for the largest group.
pub const EXPONENT: usize = 48;

/// Bits of an exponent that count: twice a group's strength and more, by the larger estimate of RFC 3526, section 8.
const fn exponent_bits(prime: usize) -> u32 {
    match prime {
        0..=1536 => 256,
        1537..=2048 => 320,
        _ => 384,
    }
}

/// `base ^ exponent mod prime`, as long as the prime; `None` unless 1 < base < prime - 1 and base is as long as the prime.
pub fn power(bits: usize, base: &[u8], exponent: &[u8; EXPONENT]) -> Option<Zeroizing<Vec<u8>>> {
    match bits {
        1024 => raise::<{ limbs(1024) }>(MODP_1024, base, exponent),
        1536 => raise::<{ limbs(1536) }>(MODP_1536, base, exponent),
        2048 => raise::<{ limbs(2048) }>(MODP_2048, base, exponent),
        3072 => raise::<{ limbs(3072) }>(MODP_3072, base, exponent),
        4096 => raise::<{ limbs(4096) }>(MODP_4096, base, exponent),
        _ => None,
    }
}

const fn limbs(bits: usize) -> usize {
    bits / crypto_bigint::Limb::BITS as usize
}

fn raise<const LIMBS: usize>(prime: &str, base: &[u8], exponent: &[u8; EXPONENT]) -> Option<Zeroizing<Vec<u8>>> {
    if base.len() * 2 != prime.len() {
        return None;
    }
    let prime = Odd::<Uint<LIMBS>>::from_be_hex(prime);
    let base = Uint::<LIMBS>::from_be_slice(base);
    let greatest = prime.as_ref().wrapping_sub(&Uint::from_u8(2));
    if base < Uint::from_u8(2) || base > greatest {
        return None;
    }
    let params = FixedMontyParams::new_vartime(prime);
    let exponent = Zeroizing::new(U384::from_be_slice(exponent));
    let bits = exponent_bits(Uint::<LIMBS>::BITS as usize);
    let power = FixedMontyForm::new(&base, &params).pow_bounded_exp(&*exponent, bits).retrieve();
    Some(Zeroizing::new(power.to_be_bytes().as_ref().to_vec()))
}

/// The generator 2, as long as the prime.
pub fn generator(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0; bits / 8];
    if let Some(last) = bytes.last_mut() {
        *last = 2;
    }
    bytes
}

/// RFC 2409, section 6.2.
const MODP_1024: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff";
/// RFC 3526, section 2.
const MODP_1536: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca237327ffffffffffffffff";
/// RFC 3526, section 3.
const MODP_2048: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
     e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
     15728e5a8aacaa68ffffffffffffffff";
/// RFC 3526, section 4.
const MODP_3072: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
     e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
     15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7\
     abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c\
     bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff";
/// RFC 3526, section 5.
const MODP_4096: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f\
     83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
     e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
     15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7\
     abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c\
     bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7\
     88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6\
     287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9\
     93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ike::vectors::hex;

    /// `numerator / x - numerator / 3x^3 + ...`: the arc tangent of 1/x, as a number of 32 bits and fractions of it.
    fn arctangent(numerator: u64, x: u64, words: usize) -> Vec<u32> {
        let divide = |number: &[u32], by: u64| {
            let mut rest = 0;
            let quotient = number.iter().map(|word| {
                let whole = rest << 32 | u64::from(*word);
                rest = whole % by;
                u32::try_from(whole / by).unwrap()
            });
            quotient.collect::<Vec<u32>>()
        };
        let mut power = vec![0; words];
        power[0] = u32::try_from(numerator).unwrap();
        power = divide(&power, x);
        let mut sum = power.clone();
        for odd in (3..).step_by(2) {
            power = divide(&power, x * x);
            if power.iter().all(|word| *word == 0) {
                break;
            }
            sum = combine(&sum, &divide(&power, odd), odd % 4 == 1);
        }
        sum
    }

    /// The sum of two numbers, or their difference.
    fn combine(one: &[u32], other: &[u32], add: bool) -> Vec<u32> {
        let mut carry = 0;
        let words = one.iter().zip(other).rev().map(|(one, other)| {
            let (one, other) = (i64::from(*one), i64::from(*other));
            let whole = if add { one + other } else { one - other } + carry;
            carry = whole >> 32;
            u32::try_from(whole & 0xffff_ffff).unwrap()
        });
        let mut words: Vec<u32> = words.collect();
        words.reverse();
        words
    }

    /// RFC 2409, section 6.2, and RFC 3526, sections 2 to 5: `2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + c)`.
    #[test]
    fn the_primes_are_those_that_the_rfcs_make_of_pi() {
        // pi = 16 arctan(1/5) - 4 arctan(1/239), here times 2^26 and later times 2^4
        let scale = 1 << 26;
        let words = 4_096 / 32 + 4;
        let part = combine(&arctangent(16 * scale, 5, words), &arctangent(4 * scale, 239, words), false);
        let pi: Vec<u32> =
            part.iter().zip(part[1..].iter().chain(&[0])).map(|(high, low)| high << 4 | low >> 28).collect();
        for (bits, prime, c) in [
            (1_024, MODP_1024, 129_093),
            (1_536, MODP_1536, 741_804),
            (2_048, MODP_2048, 124_476),
            (3_072, MODP_3072, 1_690_314),
            (4_096, MODP_4096, 240_904),
        ] {
            let mut addend = vec![0; (bits - 128) / 32];
            *addend.last_mut().unwrap() = c - 1;
            let middle = combine(&pi[..addend.len()], &addend, true);
            let middle: Vec<u8> = middle.into_iter().flat_map(u32::to_be_bytes).collect();

            assert_eq!(hex(prime), [&[0xff; 8], &middle[..], &[0xff; 8]].concat(), "{bits} bits");
        }
    }
}
