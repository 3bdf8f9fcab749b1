//! What the page of a one-time link shows: the contract's `otl_config`, `otl_config_wireguard` and `otl_config_ikev2`.
//!
//! The defaults are the contract's examples, spelt as there. Where it only says that something is HTML or CSS
//! (`<html>`, `...`), the default is nothing, and the page has words of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::limits;

/// How many buttons each part of the page has.
pub const BUTTONS: usize = 6;
/// The contract's names of the buttons' labels.
pub const BUTTON_LABELS: [&str; BUTTONS] =
    ["button1_label", "button2_label", "button3_label", "button4_label", "button5_label", "button6_label"];
/// The contract's names of the buttons' links.
pub const BUTTON_LINKS: [&str; BUTTONS] =
    ["button1_link", "button2_link", "button3_link", "button4_link", "button5_link", "button6_link"];

/// Everything that can be set of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// The page as a whole, and the links.
    pub page: Arc<LinkPage>,
    /// Its WireGuard part.
    pub wireguard: Arc<LinkWireguard>,
    /// Its IKEv2 part.
    pub ikev2: Arc<LinkIkev2>,
}

/// The page as a whole, and the links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPage {
    /// The page's title.
    pub title: String,
    /// HTML before what we show.
    pub before_body: String,
    /// HTML after what we show.
    pub after_body: String,
    /// HTML for a link that is used up, has ended or never was; our own words where it is empty.
    pub not_relevant: String,
    /// CSS after our own.
    pub css: String,
    /// How many days of 24 hours a new link is open.
    pub lifetime: u16,
}

/// The page's WireGuard part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkWireguard {
    /// Whether it is shown.
    pub enable: bool,
    /// Whether the client's file is shown as text.
    pub enable_config_text: bool,
    /// Whether the client's file is shown as a QR code.
    pub enable_config_qr: bool,
    /// What is written on the button that saves the client's file; there is no such button where it is empty.
    pub download_config_button_label: String,
    /// Links to clients.
    pub buttons: Buttons,
}

/// The page's IKEv2 part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkIkev2 {
    /// Whether it is shown.
    pub enable: bool,
    /// What is written on the button that saves the CA's certificate; there is no such button where it is empty.
    pub download_certificate_button_label: String,
    /// What is written on the button that saves the profile; there is no such button where it is empty.
    pub download_profile_button_label: String,
    /// Links to clients.
    pub buttons: Buttons,
}

/// Links of one part of the page.
pub type Buttons = [Button; BUTTONS];

/// A link to somewhere else. It is shown only where neither of the two is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What is written on it.
    pub label: String,
    /// Where it leads: an http or https URL.
    pub link: String,
}

impl Button {
    fn new(label: &str, link: &str) -> Self {
        Self { label: label.into(), link: link.into() }
    }

    /// Whether there is something to show.
    pub fn is_shown(&self) -> bool {
        !self.label.is_empty() && !self.link.is_empty()
    }
}

impl Default for LinkPage {
    fn default() -> Self {
        Self {
            title: "One-time link".into(),
            before_body: String::new(),
            after_body: String::new(),
            not_relevant: String::new(),
            css: String::new(),
            lifetime: limits::LINK_LIFETIME_DEFAULT,
        }
    }
}

impl Default for LinkWireguard {
    fn default() -> Self {
        Self {
            enable: true,
            enable_config_text: true,
            enable_config_qr: true,
            download_config_button_label: "Dowload config file".into(),
            buttons: [
                Button::new(
                    "Download client Android",
                    "https://play.google.com/store/apps/details?id=com.wireguard.android",
                ),
                Button::new("Download client iOS", "https://apps.apple.com/us/app/wireguard/id1441195209"),
                Button::new(
                    "Download client Windows",
                    "https://download.wireguard.com/windows-client/wireguard-installer.exe",
                ),
                Button::new("Download client macOS", "https://itunes.apple.com/us/app/wireguard/id1451685025"),
                Button::new("Official clients WireGuard", "https://www.wireguard.com/install/"),
                Button::default(),
            ],
        }
    }
}

impl Default for LinkIkev2 {
    fn default() -> Self {
        Self {
            enable: true,
            download_certificate_button_label: "Dowload Certificate CA".into(),
            download_profile_button_label: "Dowload Profile".into(),
            buttons: [
                Button::new(
                    "Download client Android",
                    "https://play.google.com/store/apps/details?id=org.strongswan.android",
                ),
                Button::new("Download client Debian/Ubuntu", "https://download.strongswan.org/NetworkManager/"),
                Button::new("Official clients strongSwan", "https://download.strongswan.org/"),
                Button::default(),
                Button::default(),
                Button::default(),
            ],
        }
    }
}
