//! From what is asked of an account to an account: fills in what is absent and refuses what cannot be.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Account, AccountDraft, AccountId, Allowance};
use crate::domain::field::{self, given};
use crate::domain::intended::{Intended, IntendedServer};
use crate::domain::key::{PrivateKey, PublicKey};
use crate::domain::limits;
use crate::domain::name::{AccountName, Username};
use crate::domain::numbers::Free;
use crate::domain::password::Password;
use crate::domain::pool;
use crate::domain::rate::Mbps;
use crate::domain::refusal::Refusal;

/// Randomness for what a new account needs chosen.
#[derive(Clone, Copy)]
pub struct AccountSeed {
    /// For its private key.
    pub private_key: [u8; 32],
    /// For what it is known by.
    pub id: u64,
    /// For its password, four bytes a character.
    pub password: [u8; 4 * limits::PASSWORD_LENGTH],
}

impl AccountDraft {
    /// A new account among those that exist, of which there may be `cap`.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be.
    pub fn settle(&self, among: &Intended, cap: u32, seed: &AccountSeed) -> Result<Account, Refusal> {
        if among.count_accounts() >= cap as usize {
            return Err(Refusal::AccountLimitExceeded);
        }
        let server = given(self.wg_name.as_ref()).and_then(|name| among.server(name)).ok_or(Refusal::ServerNotValid)?;
        let free = among.numbers.free(among.accounts());
        let name = self.settle_name(among, free)?;
        let username = self.settle_username(among, free)?;
        let address = match given(self.allowed_ips.as_ref()) {
            Some(text) => place(text, server, None, Refusal::AddressMalformed)?,
            None => pool::next_address(server).ok_or(Refusal::PoolExhausted)?,
        };
        let address_ipv6 = match given(self.allowed_ips_ipv6.as_ref()) {
            Some(text) => place_v6(text, server, None, Refusal::AddressMalformed)?,
            None => pool::next_address_v6(server, address).ok_or(Refusal::PoolExhausted)?,
        };
        let (private_key, public_key) = self.settle_keys(server, seed)?;
        let mut account = Account {
            name,
            server: server.server.name.clone(),
            enabled: true,
            username,
            password: Password::from_entropy(&seed.password),
            address,
            address_ipv6: Some(address_ipv6),
            private_key,
            public_key,
            b_download: server.server.b_download,
            b_upload: server.server.b_upload,
            mark: free.mark,
            id: AccountId(seed.id),
            allowance: Allowance::default(),
            owner: None,
        };
        self.settle_rest(&mut account)?;
        Ok(account)
    }

    /// `current` with what the draft names; name, username, keys and server stay.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be. It calls a malformed address an external one here.
    pub fn amend(&self, current: &Account, among: &Intended) -> Result<Account, Refusal> {
        let server = among.server(current.server.as_str()).ok_or(Refusal::ServerNotValid)?;
        if given(self.wg_name.as_ref()).is_some_and(|name| name != current.server.as_str()) {
            return Err(Refusal::ServerNotValid);
        }
        let mut account = current.clone();
        if let Some(text) = given(self.allowed_ips.as_ref()) {
            account.address = place(text, server, Some(current), Refusal::ExternalIpMalformed)?;
        }
        if let Some(text) = given(self.allowed_ips_ipv6.as_ref()) {
            account.address_ipv6 = Some(place_v6(text, server, Some(current), Refusal::ExternalIpMalformed)?);
        }
        self.settle_rest(&mut account)?;
        Ok(account)
    }

    fn settle_name(&self, among: &Intended, free: Free) -> Result<AccountName, Refusal> {
        let Some(text) = given(self.name.as_ref()) else {
            return AccountName::parse(&format!("{}{}", limits::ACCOUNT_STEM, free.name));
        };
        let name = AccountName::parse(text)?;
        if among.account(text).is_some() { Err(Refusal::NameTaken) } else { Ok(name) }
    }

    fn settle_username(&self, among: &Intended, free: Free) -> Result<Username, Refusal> {
        let Some(text) = given(self.username.as_ref()) else {
            return Username::parse(&format!("{}{}", limits::USERNAME_STEM, free.username));
        };
        let name = Username::parse(text)?;
        if among.accounts().any(|account| account.username == name) { Err(Refusal::UsernameTaken) } else { Ok(name) }
    }

    /// The keys that are given, or fresh ones; a public key alone is one whose client keeps the private key to itself.
    fn settle_keys(
        &self,
        server: &IntendedServer,
        seed: &AccountSeed,
    ) -> Result<(Option<PrivateKey>, PublicKey), Refusal> {
        let public = given(self.public_key.as_ref()).map(PublicKey::parse).transpose()?;
        let private = given(self.private_key.as_ref()).map(PrivateKey::parse).transpose()?;
        let (private, public) = match (private, public) {
            (None, Some(public)) => (None, public),
            (private, public) => {
                let private = private.unwrap_or_else(|| PrivateKey::from_entropy(seed.private_key));
                let derived = private.public();
                if public.is_some_and(|public| public != derived) {
                    return Err(Refusal::KeysInvalid);
                }
                (Some(private), derived)
            }
        };
        // a server tells its peers apart by their keys alone, and cannot be its own peer
        let taken =
            server.server.public_key == public || server.accounts.values().any(|account| account.public_key == public);
        if taken { Err(Refusal::KeysInvalid) } else { Ok((private, public)) }
    }

    /// What is settled alike in a new account and in one that is edited.
    fn settle_rest(&self, account: &mut Account) -> Result<(), Refusal> {
        if let Some(text) = given(self.status.as_ref()) {
            account.enabled = match text {
                _ if text.eq_ignore_ascii_case("enable") => true,
                _ if text.eq_ignore_ascii_case("disable") => false,
                _ => return Err(Refusal::FieldMalformed { field: "status", rule: "enable|disable" }),
            };
        }
        if let Some(text) = given(self.password.as_ref()) {
            if text.len() > limits::PASSWORD_MAX || text.chars().any(char::is_control) {
                return Err(Refusal::FieldMalformed { field: "password", rule: "1 to 256 bytes of printable text" });
            }
            account.password = Password::new(text.into());
        }
        account.b_download = rate_or("b_download", self.b_download.as_ref(), account.b_download)?;
        account.b_upload = rate_or("b_upload", self.b_upload.as_ref(), account.b_upload)?;
        account.allowance = account.allowance.amended(self)?;
        Ok(())
    }
}

/// The bandwidth that a field gives, or `otherwise` where it is absent.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub fn rate_or(name: &'static str, field: Option<&String>, otherwise: Mbps) -> Result<Mbps, Refusal> {
    given(field).map_or(Ok(otherwise), |text| field::rate(name, text))
}

/// An address of the server's network that nobody but `current` has.
fn place(
    text: &str,
    server: &IntendedServer,
    current: Option<&Account>,
    malformed: Refusal,
) -> Result<Ipv4Addr, Refusal> {
    let address = field::address_v4(text).ok_or(malformed)?;
    if !pool::is_usable(server.server.address, address) {
        return Err(Refusal::AddressOutOfRange);
    }
    let taken =
        address == server.server.address.addr() || others(server, current).any(|account| account.address == address);
    if taken { Err(Refusal::AddressTaken) } else { Ok(address) }
}

/// [`place`] for IPv6.
fn place_v6(
    text: &str,
    server: &IntendedServer,
    current: Option<&Account>,
    malformed: Refusal,
) -> Result<Ipv6Addr, Refusal> {
    let address = field::address_v6(text).ok_or(malformed)?;
    if !pool::is_usable_v6(server.server.address_ipv6, address) {
        return Err(Refusal::AddressOutOfRange);
    }
    let taken = address == server.server.address_ipv6.addr()
        || others(server, current).any(|account| account.address_ipv6 == Some(address));
    if taken { Err(Refusal::AddressTaken) } else { Ok(address) }
}

fn others<'a>(server: &'a IntendedServer, own: Option<&'a Account>) -> impl Iterator<Item = &'a Account> {
    let own = own.map(|own| &own.name);
    server.accounts.values().map(AsRef::as_ref).filter(move |account| Some(&account.name) != own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{account_of, account_seed, add_account, add_server, house};
    use crate::domain::server::ServerDraft;

    /// A draft of one field beside the server.
    fn draft(field: &str, text: &str) -> AccountDraft {
        let mut draft = account_of("Default_1");
        let slot = match field {
            "wg_name" => &mut draft.wg_name,
            "name" => &mut draft.name,
            "status" => &mut draft.status,
            "username" => &mut draft.username,
            "password" => &mut draft.password,
            "allowed_IPs" => &mut draft.allowed_ips,
            "allowed_IPs_ipv6" => &mut draft.allowed_ips_ipv6,
            "private_key" => &mut draft.private_key,
            "public_key" => &mut draft.public_key,
            "b_download" => &mut draft.b_download,
            "b_upload" => &mut draft.b_upload,
            _ => panic!("no such field: {field}"),
        };
        *slot = Some(text.into());
        draft
    }

    fn added(draft: &AccountDraft) -> Result<Account, Refusal> {
        draft.settle(&house(), 10, &account_seed(99))
    }

    /// What a second account of `Default_1` would become, edited.
    fn edited(draft: &AccountDraft) -> Result<Account, Refusal> {
        let mut house = house();
        let second = add_account(&mut house, &account_of("Default_1"));
        draft.amend(&second, &house)
    }

    #[test]
    fn refuses_each_field_of_a_new_account_that_cannot_be() {
        let house = house();
        let theirs = house.account("peer_1").unwrap().public_key.to_string();
        let server = house.server("Default_1").unwrap().server.public_key.to_string();
        for (field, text, refusal) in [
            ("wg_name", "Default_9", Refusal::ServerNotValid),
            ("wg_name", "", Refusal::ServerNotValid),
            ("name", "a.b", Refusal::NameMalformed),
            ("name", "peer_1", Refusal::NameTaken),
            ("username", "a b", Refusal::UsernameMalformed),
            ("username", "user_1", Refusal::UsernameTaken),
            ("allowed_IPs", "10.0.0", Refusal::AddressMalformed),
            ("allowed_IPs", "fd00::5", Refusal::AddressMalformed),
            ("allowed_IPs", "10.0.0.2", Refusal::AddressTaken),
            ("allowed_IPs", "10.0.0.1", Refusal::AddressTaken),
            ("allowed_IPs", "10.0.0.0", Refusal::AddressOutOfRange),
            ("allowed_IPs", "10.0.0.255", Refusal::AddressOutOfRange),
            ("allowed_IPs", "10.0.1.5", Refusal::AddressOutOfRange),
            ("allowed_IPs_ipv6", "10.0.0.5", Refusal::AddressMalformed),
            ("allowed_IPs_ipv6", "fd00::2", Refusal::AddressTaken),
            ("allowed_IPs_ipv6", "fd00::1", Refusal::AddressTaken),
            ("allowed_IPs_ipv6", "fd00::", Refusal::AddressOutOfRange),
            ("allowed_IPs_ipv6", "fd01::5", Refusal::AddressOutOfRange),
            ("private_key", "x", Refusal::KeysInvalid),
            ("public_key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", Refusal::KeysInvalid),
            ("public_key", &theirs, Refusal::KeysInvalid),
            ("public_key", &server, Refusal::KeysInvalid),
        ] {
            assert_eq!(added(&draft(field, text)), Err(refusal), "{field}={text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_in_new_and_edited_accounts_alike() {
        let long = "a".repeat(limits::PASSWORD_MAX + 1);
        for (field, text, rule) in [
            ("status", "on", "enable|disable"),
            ("password", "a\nb", "1 to 256 bytes of printable text"),
            ("password", &long, "1 to 256 bytes of printable text"),
            ("b_download", "10001", "0 to 10000"),
            ("b_upload", "1.5", "0 to 10000"),
        ] {
            let refusal = Refusal::FieldMalformed { field, rule };
            assert_eq!(added(&draft(field, text)), Err(refusal.clone()), "add {field}={text}");
            assert_eq!(edited(&draft(field, text)), Err(refusal), "edit {field}={text}");
        }
    }

    #[test]
    fn refuses_each_field_of_an_edit_that_cannot_be() {
        for (field, text, refusal) in [
            ("wg_name", "Default_2", Refusal::ServerNotValid),
            ("wg_name", "Default_9", Refusal::ServerNotValid),
            ("allowed_IPs", "10.0.0", Refusal::ExternalIpMalformed),
            ("allowed_IPs", "10.0.0.2", Refusal::AddressTaken),
            ("allowed_IPs", "10.0.1.5", Refusal::AddressOutOfRange),
            ("allowed_IPs_ipv6", "x", Refusal::ExternalIpMalformed),
            ("allowed_IPs_ipv6", "fd00::2", Refusal::AddressTaken),
            ("allowed_IPs_ipv6", "fd01::5", Refusal::AddressOutOfRange),
        ] {
            assert_eq!(edited(&draft(field, text)), Err(refusal), "{field}={text}");
        }
    }

    #[test]
    fn chooses_what_is_absent() {
        let account = added(&account_of("Default_1")).unwrap();
        assert_eq!((account.name.as_str(), account.username.as_str()), ("peer_2", "user_2"));
        assert_eq!(account.address.to_string(), "10.0.0.3");
        assert_eq!(account.address_ipv6.unwrap().to_string(), "fd00::3");
        assert_eq!((account.mark, account.enabled), (101, true));
        assert_eq!(account.password.reveal().len(), limits::PASSWORD_LENGTH);
        assert_eq!(account.private_key.map(|key| key.public()), Some(account.public_key));
    }

    #[test]
    fn takes_the_bandwidth_of_its_server() {
        let mut house = house();
        let limited = ServerDraft { b_download: Some("11".into()), b_upload: Some("22".into()), ..Default::default() };
        add_server(&mut house, &limited);
        let account = add_account(&mut house, &account_of("Default_3"));
        assert_eq!((account.b_download.get(), account.b_upload.get()), (11, 22));
        assert_eq!((account.mark, account.address.to_string()), (101, "10.0.2.2".to_owned()));
    }

    #[test]
    fn keeps_no_private_key_for_a_public_key_alone() {
        let key = PrivateKey::from_entropy([3; 32]);
        let account = added(&draft("public_key", &key.public().to_string())).unwrap();
        assert_eq!((account.private_key, account.public_key), (None, key.public()));
    }

    #[test]
    fn derives_the_public_key_of_a_private_key_alone() {
        let key = PrivateKey::from_entropy([3; 32]);
        let mut draft = draft("private_key", &key.to_base64());
        assert_eq!(added(&draft).unwrap().public_key, key.public());

        draft.public_key = Some(PrivateKey::from_entropy([4; 32]).public().to_string());
        assert_eq!(added(&draft), Err(Refusal::KeysInvalid));
    }

    #[test]
    fn refuses_one_account_more_than_the_cap() {
        assert_eq!(account_of("Default_1").settle(&house(), 1, &account_seed(99)), Err(Refusal::AccountLimitExceeded));
    }

    #[test]
    fn refuses_an_account_where_no_address_is_left() {
        let mut house = house();
        add_server(&mut house, &ServerDraft { address: Some("10.9.0.1/30".into()), ..Default::default() });
        add_account(&mut house, &account_of("Default_3"));
        assert_eq!(account_of("Default_3").settle(&house, 10, &account_seed(99)), Err(Refusal::PoolExhausted));
    }

    #[test]
    fn takes_an_address_with_a_prefix_length() {
        assert_eq!(added(&draft("allowed_IPs", "10.0.0.77/32")).unwrap().address.to_string(), "10.0.0.77");
    }

    #[test]
    fn chooses_the_lowest_free_ipv6_address_where_the_same_place_is_taken() {
        let mut house = house();
        add_account(&mut house, &draft("allowed_IPs_ipv6", "fd00::4"));
        let account = add_account(&mut house, &draft("allowed_IPs", "10.0.0.4"));
        assert_eq!(account.address_ipv6.unwrap().to_string(), "fd00::3");
    }

    #[test]
    fn keeps_in_an_edit_what_it_does_not_name() {
        let house = house();
        let before = house.account("peer_1").unwrap();
        assert_eq!(AccountDraft::default().amend(before, &house).as_ref(), Ok(before.as_ref()));

        let after = draft("status", "Disable").amend(before, &house).unwrap();
        assert_eq!(after, Account { enabled: false, ..before.as_ref().clone() });
        assert_eq!(draft("allowed_IPs", "10.0.0.2").amend(before, &house).as_ref(), Ok(before.as_ref()));
    }
}
