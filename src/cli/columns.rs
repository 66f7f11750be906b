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

/// The problems of a configuration in lines of at most 80 characters. Lines of a file that they quote are short as they are, and stay
/// above their carets; what stands behind carets and does not fit goes below them.
pub(super) fn folded_problems(text: &str) -> String {
    const INDENT: usize = 4;
    let fold = |line: &str| {
        if line.chars().count() <= WIDTH {
            return line.to_owned();
        }
        let bare = line.trim_start();
        let (carets, note) = bare.split_at(bare.len() - bare.trim_start_matches('^').len());
        match carets.is_empty() {
            true => folded(line, INDENT),
            false => format!(
                "{}{carets}\n{}",
                &line[..line.len() - bare.len()],
                folded(&format!("{:INDENT$}{}", "", note.trim_start()), INDENT)
            ),
        }
    };
    text.lines().map(fold).collect::<Vec<_>>().join("\n")
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
    fn problems_keep_their_carets() {
        let note = "word ".repeat(20);
        let problem = format!("a.toml:1:2: {note}\n    key = 1\n          ^  {note}\n\nThe end.");
        let folded = folded_problems(&problem);
        assert!(
            folded.lines().all(|line| line.chars().count() <= WIDTH),
            "{folded}"
        );
        assert!(
            folded.contains("\n    key = 1\n          ^\n    word "),
            "{folded}"
        );
        assert!(
            folded.contains("word\n    word") && folded.ends_with("\n\nThe end."),
            "{folded}"
        );
        let short = "a:1:1: wrong\n    x\n    ^  short";
        assert_eq!(folded_problems(short), short);
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
