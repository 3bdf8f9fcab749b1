//! What an administrator brings to IKEv2: certificates and keys in PEM, and strings of proposals.

use culvert::domain::ikev2::proposal::{MODERN_ESP, MODERN_IKE, Proposals, Protocol};
use culvert::domain::ikev2::settings::{ESP_DEFAULT, IKE_DEFAULT};
use culvert::domain::ikev2::{Certificate, Credential, SigningKey};
use culvert::runtime::os::clock;

use crate::campaign::Campaign;
use crate::dice::Dice;

const CERTIFICATES: [&str; 4] = [
    include_str!("../support/ikev2/rsa.crt"),
    include_str!("../support/ikev2/ec.crt"),
    include_str!("../support/ikev2/between.crt"),
    include_str!("../support/ikev2/components.crt"),
];

const KEYS: [&str; 5] = [
    include_str!("../support/ikev2/rsa.key"),
    include_str!("../support/ikev2/rsa-pkcs8.key"),
    include_str!("../support/ikev2/ec.key"),
    include_str!("../support/ikev2/ec-sec1.key"),
    include_str!("../support/ikev2/ed25519.key"),
];

const PROPOSALS: [&str; 6] = [
    IKE_DEFAULT,
    ESP_DEFAULT,
    MODERN_IKE,
    MODERN_ESP,
    "aes128ctr-sha256-prfaesxcbc-modp768-esn-noesn,null-md5!",
    "camellia256ccm16-prfmd5-ecp256bp-x448-modpnone",
];

#[test]
fn imports_only_what_can_be_an_authority() {
    let mut campaign = Campaign::new("certificates");
    while let Some(mut dice) = campaign.next() {
        let certificate = certificate(&mut dice);
        let key = changed(&mut dice, &KEYS);
        if let Ok(read) = Certificate::read(&certificate) {
            assert_eq!(Certificate::read(&read.to_pem()), Ok(read.clone()));
            let _ = (read.subject(), read.expires(), format!("{read:?}"));
        }
        if let Ok(read) = SigningKey::read(&key) {
            assert_eq!(SigningKey::read(&read.to_pem()), Ok(read));
        }
        if let Ok(taken) = Credential::import(&certificate, &key, clock::timestamp()) {
            assert!(
                taken.certificate.der().windows(taken.key.public().len()).any(|window| window == taken.key.public())
            );
        }
    }
}

#[test]
fn settles_only_proposals_that_can_be_agreed_on() {
    let mut campaign = Campaign::new("proposals");
    while let Some(mut dice) = campaign.next() {
        let text = changed(&mut dice, &PROPOSALS);
        for protocol in [Protocol::Ike, Protocol::Esp] {
            let Ok(proposals) = Proposals::parse(protocol, &text) else { continue };
            assert_eq!(proposals.as_str(), text.trim());
            assert_eq!(Proposals::parse(protocol, proposals.as_str()).as_ref(), Ok(&proposals));
            for proposal in proposals.list() {
                let authenticates = proposal.ciphers[0].authenticates();
                assert_eq!(proposal.integrity.is_empty(), authenticates, "{text}");
                assert!(protocol == Protocol::Esp || !proposal.groups.is_empty(), "{text}");
            }
        }
    }
}

/// A certificate that is changed as text, or inside, so that it is still PEM.
fn certificate(dice: &mut Dice) -> String {
    if dice.once_in(3) {
        return changed(dice, &CERTIFICATES);
    }
    let seed = CERTIFICATES[dice.below(CERTIFICATES.len())];
    let mut der = Certificate::read(seed).unwrap().der().to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(der.len());
        der[at] = dice.byte();
    }
    Certificate::trusted(der).to_pem()
}

fn changed(dice: &mut Dice, seeds: &[&str]) -> String {
    let mut bytes = dice.pick(seeds).as_bytes().to_vec();
    if dice.once_in(8) {
        return String::from_utf8_lossy(&bytes).replace('+', " ");
    }
    let other = dice.pick(seeds).as_bytes();
    dice.mutate(&mut bytes, other);
    String::from_utf8_lossy(&bytes).into_owned()
}
