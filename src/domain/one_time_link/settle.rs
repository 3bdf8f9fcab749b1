//! From what is asked of the page's settings to settings: refuses what cannot be.
//!
//! What is absent stays. What is blank is cleared, but for the title, the lifetime and the flags, which stay.

use super::settings::{BUTTON_LABELS, BUTTON_LINKS, BUTTONS, Buttons, LinkIkev2, LinkPage, LinkWireguard};
use crate::domain::field::{self, given};
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// What somebody asks of the page as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkPageDraft {
    /// Printable text.
    pub title: Option<String>,
    /// HTML.
    pub before_body: Option<String>,
    /// HTML.
    pub after_body: Option<String>,
    /// HTML.
    pub not_relevant: Option<String>,
    /// CSS.
    pub css: Option<String>,
    /// 1 to 365 days.
    pub lifetime: Option<String>,
}

/// What somebody asks of the WireGuard part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkWireguardDraft {
    /// A flag.
    pub enable: Option<String>,
    /// A flag.
    pub enable_config_text: Option<String>,
    /// A flag.
    pub enable_config_qr: Option<String>,
    /// Printable text.
    pub download_config_button_label: Option<String>,
    /// The links.
    pub buttons: [ButtonDraft; BUTTONS],
}

/// What somebody asks of the IKEv2 part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkIkev2Draft {
    /// A flag.
    pub enable: Option<String>,
    /// Printable text.
    pub download_certificate_button_label: Option<String>,
    /// Printable text.
    pub download_profile_button_label: Option<String>,
    /// The links.
    pub buttons: [ButtonDraft; BUTTONS],
}

/// What somebody asks of a link to somewhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ButtonDraft {
    /// Printable text.
    pub label: Option<String>,
    /// An http or https URL.
    pub link: Option<String>,
}

impl LinkPageDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// [`Refusal::FieldMalformed`] for the first field that cannot be.
    pub fn amend(&self, current: &LinkPage) -> Result<LinkPage, Refusal> {
        let mut page = current.clone();
        if given(self.title.as_ref()).is_some() {
            settle_label("title", self.title.as_ref(), &mut page.title)?;
        }
        for (name, draft, settled) in [
            ("before_body", &self.before_body, &mut page.before_body),
            ("after_body", &self.after_body, &mut page.after_body),
            ("not_relevant", &self.not_relevant, &mut page.not_relevant),
            ("css", &self.css, &mut page.css),
        ] {
            if let Some(text) = draft {
                *settled = markup(name, text)?;
            }
        }
        if let Some(text) = given(self.lifetime.as_ref()) {
            let days = field::number(text).and_then(|days| u16::try_from(days).ok());
            let days = days.filter(|days| (1..=limits::LINK_LIFETIME_MAX).contains(days));
            page.lifetime = days.ok_or(Refusal::FieldMalformed { field: "lifetime", rule: "1 to 365" })?;
        }
        Ok(page)
    }
}

impl LinkWireguardDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// [`Refusal::FieldMalformed`] for the first field that cannot be.
    pub fn amend(&self, current: &LinkWireguard) -> Result<LinkWireguard, Refusal> {
        let mut part = current.clone();
        for (name, draft, settled) in [
            ("enable", &self.enable, &mut part.enable),
            ("enable_config_text", &self.enable_config_text, &mut part.enable_config_text),
            ("enable_config_qr", &self.enable_config_qr, &mut part.enable_config_qr),
        ] {
            settle_flag(name, draft.as_ref(), settled)?;
        }
        let label = self.download_config_button_label.as_ref();
        settle_label("download_config_button_label", label, &mut part.download_config_button_label)?;
        settle_buttons(&self.buttons, &mut part.buttons)?;
        Ok(part)
    }
}

impl LinkIkev2Draft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// [`Refusal::FieldMalformed`] for the first field that cannot be.
    pub fn amend(&self, current: &LinkIkev2) -> Result<LinkIkev2, Refusal> {
        let mut part = current.clone();
        settle_flag("enable", self.enable.as_ref(), &mut part.enable)?;
        let label = self.download_certificate_button_label.as_ref();
        settle_label("download_certificate_button_label", label, &mut part.download_certificate_button_label)?;
        let label = self.download_profile_button_label.as_ref();
        settle_label("download_profile_button_label", label, &mut part.download_profile_button_label)?;
        settle_buttons(&self.buttons, &mut part.buttons)?;
        Ok(part)
    }
}

fn settle_flag(name: &'static str, draft: Option<&String>, settled: &mut bool) -> Result<(), Refusal> {
    if let Some(text) = given(draft) {
        *settled = field::flag(name, text)?;
    }
    Ok(())
}

fn settle_label(name: &'static str, draft: Option<&String>, settled: &mut String) -> Result<(), Refusal> {
    let Some(text) = draft.map(|text| text.trim()) else { return Ok(()) };
    if text.len() > limits::LINK_LABEL_LENGTH || text.chars().any(char::is_control) {
        return Err(Refusal::FieldMalformed { field: name, rule: "at most 128 bytes of printable text" });
    }
    text.clone_into(settled);
    Ok(())
}

fn settle_buttons(drafts: &[ButtonDraft; BUTTONS], settled: &mut Buttons) -> Result<(), Refusal> {
    let names = BUTTON_LABELS.into_iter().zip(BUTTON_LINKS);
    for ((draft, button), (label, link)) in drafts.iter().zip(settled).zip(names) {
        settle_label(label, draft.label.as_ref(), &mut button.label)?;
        if let Some(text) = draft.link.as_ref().map(|text| text.trim()) {
            button.link = url(link, text)?;
        }
    }
    Ok(())
}

/// Reads HTML or CSS, which nobody judges: the page's policy lets none of it run.
fn markup(name: &'static str, text: &str) -> Result<String, Refusal> {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let text = text.trim();
    if text.len() > limits::LINK_HTML_LENGTH || text.chars().any(odd) {
        return Err(Refusal::FieldMalformed { field: name, rule: "at most 16384 bytes of text" });
    }
    Ok(text.to_owned())
}

/// Reads where a button leads: nowhere, or an http or https URL (RFC 3986) of printable ASCII. Any other scheme is
/// refused: `javascript:` above all.
fn url(name: &'static str, text: &str) -> Result<String, Refusal> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let fits = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.len() <= limits::LINK_URL_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || fits {
        return Ok(text.to_owned());
    }
    Err(Refusal::FieldMalformed { field: name, rule: "an http or https URL of at most 1024 bytes" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn button(at: usize, draft: ButtonDraft) -> [ButtonDraft; BUTTONS] {
        let mut buttons: [ButtonDraft; BUTTONS] = Default::default();
        buttons[at] = draft;
        buttons
    }

    #[test]
    fn keeps_what_an_edit_does_not_name() {
        assert_eq!(LinkPageDraft::default().amend(&LinkPage::default()), Ok(LinkPage::default()));
        assert_eq!(LinkWireguardDraft::default().amend(&LinkWireguard::default()), Ok(LinkWireguard::default()));
        assert_eq!(LinkIkev2Draft::default().amend(&LinkIkev2::default()), Ok(LinkIkev2::default()));
    }

    #[test]
    fn clears_what_is_blank_but_keeps_title_and_lifetime() {
        let current = LinkPage { css: "a{}".into(), after_body: "<p>".into(), ..LinkPage::default() };
        let draft = LinkPageDraft {
            css: Some(" ".into()),
            title: Some(" ".into()),
            lifetime: Some(String::new()),
            ..LinkPageDraft::default()
        };
        assert_eq!(draft.amend(&current), Ok(LinkPage { css: String::new(), ..current }));

        let buttons = button(0, ButtonDraft { label: Some(String::new()), link: Some(String::new()) });
        let draft = LinkWireguardDraft { buttons, enable: Some(String::new()), ..LinkWireguardDraft::default() };
        let part = draft.amend(&LinkWireguard::default()).unwrap();
        assert!(part.enable && !part.buttons[0].is_shown() && part.buttons[1].is_shown());
    }

    #[test]
    fn takes_every_field_within_its_bounds() {
        let html = format!("<p>\r\n\t{}</p>", "ä".repeat(8_000));
        let draft = LinkPageDraft {
            title: Some("Für Alice".into()),
            before_body: Some(html.clone()),
            lifetime: Some("365".into()),
            ..LinkPageDraft::default()
        };
        let page = draft.amend(&LinkPage::default()).unwrap();
        assert_eq!((page.title.as_str(), page.before_body, page.lifetime), ("Für Alice", html, 365));

        let draft = LinkIkev2Draft {
            enable: Some("FALSE".into()),
            download_profile_button_label: Some("Profil".into()),
            buttons: button(
                5,
                ButtonDraft { label: Some("Hilfe".into()), link: Some("HTTPS://example.com/?a=b#c".into()) },
            ),
            ..LinkIkev2Draft::default()
        };
        let part = draft.amend(&LinkIkev2::default()).unwrap();
        assert!(!part.enable && part.buttons[5].is_shown());
        assert_eq!(part.download_profile_button_label, "Profil");
    }

    #[test]
    fn refuses_each_field_that_cannot_be() {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        for lifetime in ["0", "366", "-1", "ten", "70000"] {
            let draft = LinkPageDraft { lifetime: Some(lifetime.into()), ..LinkPageDraft::default() };
            assert_eq!(draft.amend(&LinkPage::default()), Err(malformed("lifetime", "1 to 365")), "{lifetime}");
        }
        for css in ["a".repeat(limits::LINK_HTML_LENGTH + 1), "a\0".into()] {
            let draft = LinkPageDraft { css: Some(css), ..LinkPageDraft::default() };
            assert_eq!(draft.amend(&LinkPage::default()), Err(malformed("css", "at most 16384 bytes of text")));
        }
        for title in ["a".repeat(limits::LINK_LABEL_LENGTH + 1), "a\nb".into()] {
            let draft = LinkPageDraft { title: Some(title), ..LinkPageDraft::default() };
            assert_eq!(
                draft.amend(&LinkPage::default()),
                Err(malformed("title", "at most 128 bytes of printable text"))
            );
        }
        let draft = LinkWireguardDraft { enable_config_qr: Some("yes".into()), ..LinkWireguardDraft::default() };
        assert_eq!(draft.amend(&LinkWireguard::default()), Err(malformed("enable_config_qr", "1|0")));
    }

    #[test]
    fn refuses_a_button_that_leads_to_no_web_page() {
        let long = format!("https://example.com/{}", "a".repeat(limits::LINK_URL_LENGTH));
        for link in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.com",
            "https://",
            "https:///x",
            "https://a b",
            "https://\u{202e}a",
            "example.com",
            &long,
        ] {
            let buttons = button(2, ButtonDraft { label: None, link: Some(link.into()) });
            let refused = LinkIkev2Draft { buttons, ..LinkIkev2Draft::default() }.amend(&LinkIkev2::default());
            let rule = "an http or https URL of at most 1024 bytes";
            assert_eq!(refused, Err(Refusal::FieldMalformed { field: "button3_link", rule }), "{link}");
        }
    }
}
