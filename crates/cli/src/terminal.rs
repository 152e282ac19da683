//! What is on the other end of stdout? Its width and its characters.

use crate::page::{DEFAULT_WIDTH, Look};

/// The page's look: the asked width, else the terminal's, else 80; Unicode where the locale is UTF-8.
pub fn look(width: Option<u16>) -> Look {
    let terminal = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
    let width = width.or_else(terminal).map_or(DEFAULT_WIDTH, usize::from);
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    Look::new(width, is_utf8([variable("LC_ALL"), variable("LC_CTYPE"), variable("LANG")]))
}

/// Whether the locale is UTF-8: the first of LC_ALL, LC_CTYPE and LANG that is set decides (POSIX, Base Definitions §8.2).
fn is_utf8(variables: [String; 3]) -> bool {
    let locale =
        variables.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    // Windows has no locale variables; its terminals take UTF-8.
    locale.contains("utf-8") || locale.contains("utf8") || (locale.is_empty() && cfg!(windows))
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let locale = |all: &str, ctype: &str, lang: &str| is_utf8([all.into(), ctype.into(), lang.into()]);
        assert!(locale("", "", "de_DE.UTF-8"));
        assert!(locale("", "C.utf8", "C"));
        assert!(!locale("C", "", "de_DE.UTF-8"));
        assert!(!locale("", "", "en_US.ISO-8859-1"));
    }
}
