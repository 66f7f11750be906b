//! Text that fits into 80 columns, as a terminal on a serial line has them.

/// Width of what people read, in characters.
const WIDTH: usize = 80;

/// `text` in lines of at most 80 characters, those after the first moved in by `indent`. A word that is longer, such as a
/// path, is left whole.
pub(super) fn folded(text: &str, indent: usize) -> String {
    // What has lines of its own is an excerpt, with carets under it.
    if text.contains('\n') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut column = 0;
    // What stands before the first word, and between columns of a table, stays as it is.
    for word in text.split_inclusive(' ') {
        let bare = word.trim_end();
        let width = bare.chars().count();
        if column > indent && width > 0 && column + width > WIDTH {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        }
        out.push_str(word);
        column += word.chars().count();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_between_words() {
        let text = format!("error   models: {}", "seven77 ".repeat(20).trim_end());
        let folded = folded(&text, 8);
        assert!(folded.lines().count() > 2 && folded.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(
            folded
                .lines()
                .skip(1)
                .all(|line| line.starts_with("        seven77"))
        );
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&folded), words(&text));
    }

    #[test]
    fn what_cannot_be_folded_stays_whole() {
        let path = format!("/{}", "x".repeat(100));
        assert_eq!(
            folded(&format!("ok      {path} and"), 8),
            format!("ok      {path}\n        and")
        );
        assert_eq!(folded("short", 8), "short");
        let excerpt = format!("{}\n  ^", "word ".repeat(30));
        assert_eq!(folded(&excerpt, 8), excerpt);
    }
}
