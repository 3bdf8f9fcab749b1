//! The advanced settings, in strongSwan's words. What each of them does here is in its doc; many are kept for clients of
//! the API and do nothing, because they are about `IKEv1`, about an initiator, or about a kernel.

use super::proposal::Proposals;
use crate::domain::limits;
use crate::domain::words::words;

/// The contract's default of `ike`.
pub const IKE_DEFAULT: &str = "aes256-sha1-modp1024,aes128-sha1-modp1024,chacha20poly1305-sha512-curve25519-prfsha512,\
                               aes256gcm16-sha384-prfsha384-ecp384,3des-sha1-modp1024!";
/// The contract's default of `esp`.
pub const ESP_DEFAULT: &str = "aes256-sha256,chacha20poly1305-sha512,aes256-sha1,aes256gcm16-ecp384,3des-sha1!";

/// A setting that is one of a few words.
macro_rules! choice {
    ($(#[$doc:meta])* $type:ident = $rule:literal { $($(#[$value_doc:meta])* $value:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$value_doc])* $value,)*
        }

        impl $type {
            /// Every value, as the contract's refusal lists them.
            pub const RULE: &'static str = $rule;
        }

        words!($type { $($value = $word),* });
    };
}

choice!(
    /// What becomes of an account's earlier IKE SA when it opens another.
    UniqueIds = "yes|no|never|replace|keep" {
        /// It is deleted.
        Yes = "yes",
        /// It stays, unless the client says that this is its first (`INITIAL_CONTACT`).
        No = "no",
        /// It stays, whatever the client says.
        Never = "never",
        /// As `yes`.
        Replace = "replace",
        /// It stays, and the new one is refused.
        Keep = "keep",
    }
);

choice!(
    /// How revoked a client's certificate may be. Kept: clients of this appliance have none.
    StrictCrlPolicy = "yes|no|ifuri" {
        /// A fresh list must be there.
        Yes = "yes",
        /// None is needed.
        No = "no",
        /// A fresh list must be there where the certificate names one.
        IfUri = "ifuri",
    }
);

choice!(
    /// How the server proves who it is: `rsasig` and `ecdsasig` want a key of that kind, the others change nothing, for
    /// clients that log in by EAP are always shown a certificate.
    AuthBy = "pubkey|rsasig|ecdsasig|psk|secret|xauthrsasig|xauthpsk|never" {
        /// By any key.
        PubKey = "pubkey",
        /// By an RSA key.
        RsaSig = "rsasig",
        /// By an ECDSA key.
        EcdsaSig = "ecdsasig",
        /// Changes nothing.
        Psk = "psk",
        /// Changes nothing.
        Secret = "secret",
        /// Changes nothing.
        XauthRsaSig = "xauthrsasig",
        /// Changes nothing.
        XauthPsk = "xauthpsk",
        /// Changes nothing.
        Never = "never",
    }
);

choice!(
    /// What becomes of a tunnel that has gone silent (`dpdaction`), or that its client has closed (`closeaction`).
    Action = "none|clear|hold|restart" {
        /// Nothing; as `dpdaction`, nobody asks whether the client is still there.
        None = "none",
        /// It is taken away.
        Clear = "clear",
        /// As `clear`: only an initiator could hold it.
        Hold = "hold",
        /// As `clear`: only an initiator could open it again.
        Restart = "restart",
    }
);

choice!(
    /// IKE messages in fragments (RFC 7383).
    Fragmentation = "yes|accept|force|no" {
        /// Taken and sent.
        Yes = "yes",
        /// Taken, never sent.
        Accept = "accept",
        /// As `yes`.
        Force = "force",
        /// Neither taken nor sent.
        No = "no",
    }
);

choice!(
    /// Who chooses a client's address in `IKEv1`. Kept.
    ModeConfig = "push|pull" {
        /// The server.
        Push = "push",
        /// The client.
        Pull = "pull",
    }
);

choice!(
    /// What a connection is.
    ConnectionType = "tunnel|transport|transport_proxy|passthrough|drop" {
        /// A tunnel.
        Tunnel = "tunnel",
        /// A tunnel all the same: transport mode is never agreed to.
        Transport = "transport",
        /// As `transport`.
        TransportProxy = "transport_proxy",
        /// None: every client is refused.
        Passthrough = "passthrough",
        /// None: every client is refused.
        Drop = "drop",
    }
);

choice!(
    /// On or off, as strongSwan writes it.
    YesNo = "yes|no" {
        /// On.
        Yes = "yes",
        /// Off.
        No = "no",
    }
);

impl From<bool> for YesNo {
    fn from(on: bool) -> Self {
        if on { Self::Yes } else { Self::No }
    }
}

/// What a log line of the responder is about; the contract's names, in its order.
pub const SUBSYSTEMS: [&str; 17] = [
    "dmn", "mgr", "ike", "chd", "job", "cfg", "knl", "net", "asn", "enc", "lib", "esp", "tls", "tnc", "imc", "imv",
    "pts",
];

/// How much each subsystem logs, in the order of [`SUBSYSTEMS`]: -1 is silent, 0 tells who comes and goes, 1 the course of
/// exchanges, 2 details, 3 and 4 bytes, and none of them secrets.
pub type DebugLevels = [i8; SUBSYSTEMS.len()];

/// All of the advanced settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ikev2Settings {
    /// How much is logged (`charondebug_*`).
    pub debug: DebugLevels,
    /// One IKE SA an account, or several.
    pub uniqueids: UniqueIds,
    /// Kept.
    pub strictcrlpolicy: StrictCrlPolicy,
    /// Which kind of key the server shows.
    pub authby: AuthBy,
    /// Kept: a closed tunnel is gone.
    pub closeaction: Action,
    /// IP compression; kept, never agreed to.
    pub compress: bool,
    /// Whether silent clients are asked.
    pub dpdaction: Action,
    /// Seconds of silence after which a client is asked; 0 never.
    pub dpddelay: u32,
    /// Seconds that an unanswered request is repeated at most.
    pub dpdtimeout: u32,
    /// Seconds without a packet after which a tunnel ends; 0 never.
    pub inactivity: u32,
    /// What CHILD SAs may be made of.
    pub esp: Proposals,
    /// UDP encapsulation without a NAT between; it is used always.
    pub forceencaps: bool,
    /// IKE messages in fragments.
    pub fragmentation: Fragmentation,
    /// What IKE SAs may be made of.
    pub ike: Proposals,
    /// Seconds that an IKE SA lives, where `rekey` is on.
    pub ikelifetime: u32,
    /// Whether a tunnel carries packets at all.
    pub installpolicy: bool,
    /// How often our own rekeying is tried.
    pub keyingtries: u32,
    /// Seconds that a CHILD SA lives, where `rekey` is on.
    pub lifetime: u32,
    /// Seconds before an end at which rekeying begins.
    pub margintime: u32,
    /// Whether clients may change their address (RFC 4555).
    pub mobike: bool,
    /// Kept.
    pub modeconfig: ModeConfig,
    /// Whether an IKE SA ends at the end of its life instead of being rekeyed.
    pub reauth: bool,
    /// Whether we rekey; clients may at any time.
    pub rekey: bool,
    /// By how many percent of `margintime` rekeying begins earlier at random.
    pub rekeyfuzz: u32,
    /// What a connection is (`type`).
    pub connection: ConnectionType,
}

impl Ikev2Settings {
    /// The contract's defaults, with these proposals.
    pub(super) fn with(ike: Proposals, esp: Proposals) -> Self {
        Self {
            debug: [0; SUBSYSTEMS.len()],
            uniqueids: UniqueIds::No,
            strictcrlpolicy: StrictCrlPolicy::No,
            authby: AuthBy::PubKey,
            closeaction: Action::None,
            compress: false,
            dpdaction: Action::Clear,
            dpddelay: limits::DPD_DELAY,
            dpdtimeout: limits::DPD_TIMEOUT,
            inactivity: limits::IKE_INACTIVITY,
            esp,
            forceencaps: true,
            fragmentation: Fragmentation::Yes,
            ike,
            ikelifetime: limits::IKE_LIFETIME,
            installpolicy: true,
            keyingtries: limits::KEYING_TRIES,
            lifetime: limits::CHILD_LIFETIME,
            margintime: limits::REKEY_MARGIN,
            mobike: true,
            modeconfig: ModeConfig::Pull,
            reauth: true,
            rekey: false,
            rekeyfuzz: limits::REKEY_FUZZ,
            connection: ConnectionType::Tunnel,
        }
    }

    /// How much a subsystem logs; 0 for one that there is not.
    pub fn level(&self, subsystem: &str) -> i8 {
        let at = SUBSYSTEMS.iter().position(|name| *name == subsystem);
        at.map_or(0, |at| self.debug[at])
    }
}
