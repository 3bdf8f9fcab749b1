//! Known answers, and public values that are none.

use super::*;
use crate::engine::ike::vectors::hex;

const ALL: [Group; 9] = [
    Group::Modp1024,
    Group::Modp1536,
    Group::Modp2048,
    Group::Modp3072,
    Group::Modp4096,
    Group::Ecp256,
    Group::Ecp384,
    Group::Ecp521,
    Group::Curve25519,
];

/// Dice that fall as these bytes say.
fn loaded(bytes: Vec<u8>) -> Dice {
    Dice::new(move |place| place.copy_from_slice(&bytes[..place.len()]))
}

fn counting() -> Dice {
    let mut next = 0_u8;
    Dice::new(move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(7);
            *byte = next;
        }
    })
}

/// RFC 5903, section 8 and RFC 7748, section 6.1.
#[test]
fn agrees_with_the_rfcs() {
    for (group, ours, public, theirs, secret) in [
        (
            Group::Ecp256,
            "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
             5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
             56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
        ),
        (
            Group::Ecp384,
            "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa
             9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
            "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571
             dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
        ),
        (
            Group::Ecp521,
            "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777
             f5957b2639bab072462f68c27a57382d4a52",
            "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564
             941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4
             a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
            "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6
             c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207
             7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
            "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06
             b3c715a3a8cc3151f2bee417996d19f3ddea",
        ),
        (
            Group::Curve25519,
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ),
    ] {
        let half = Half::draw(group, &mut loaded(hex(ours))).unwrap();

        assert_eq!(half.public(), hex(public), "{group:?}");
        assert_eq!(*half.agree(&hex(theirs)).unwrap(), hex(secret), "{group:?}");
    }
}

#[test]
fn two_sides_agree_in_every_group() {
    let mut dice = counting();
    for group in ALL {
        let [ours, theirs] = [1, 2].map(|_| Half::draw(group, &mut dice).unwrap());

        let secret = ours.agree(theirs.public()).unwrap();

        assert_eq!(Some(secret), theirs.agree(ours.public()), "{group:?}");
        assert_eq!(ours.public().len(), group.public_len());
        assert_ne!(ours.public(), theirs.public());
    }
}

#[test]
fn refuses_public_values_that_give_the_secret_away() {
    let mut dice = counting();
    for group in ALL {
        let half = Half::draw(group, &mut dice).unwrap();
        let length = group.public_len();
        let mut one = vec![0; length];
        // the number one; Curve25519 writes its lowest byte first
        one[if group == Group::Curve25519 { 0 } else { length - 1 }] = 1;

        for bad in [vec![0; length], vec![0xff; length], vec![], half.public()[1..].to_vec()] {
            // Curve25519 takes any 32 bytes but those of low order
            let fine = group == Group::Curve25519 && bad == vec![0xff; 32];
            assert_eq!(half.agree(&bad).is_some(), fine, "{group:?} {bad:?}");
        }
        assert!(half.agree(&one).is_none(), "{group:?}");
    }
}

#[test]
fn refuses_the_prime_less_one() {
    let mut dice = counting();
    for group in &ALL[..5] {
        let half = Half::draw(*group, &mut dice).unwrap();
        // the prime ends in ff, so that the last byte alone makes it smaller by one or two
        let mut bytes = vec![0xff; group.public_len()];
        let Kind::Modp(bits) = group.kind() else { unreachable!() };
        let inverse = modp::power(bits, half.public(), &[0; EXPONENT]).unwrap();
        assert_eq!(inverse.last(), Some(&1), "anything to the power of nothing is one");
        bytes[0] = 0xfe;
        assert!(half.agree(&bytes).is_some());
    }
}
