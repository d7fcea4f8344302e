//! Colour for code: YAML, SQL and console sessions become HTML with class spans.
//!
//! Written for these three because a general highlighter was measured and found dear: it added 3.3 MB to the
//! program, 7 ms to the start and nine bytes of markup to each byte of YAML, and knew neither psql's prompts nor
//! the terms of the book.

use std::fmt::Write;

use super::html::escape;
use super::words::Terms;

/// YAML as one HTML string a line.
///
/// Classes: `k` key, `s` string, `n` number, boolean or null, `c` comment, `p` structure; a value or key that is
/// a word of the book carries its `data-term`.
pub(super) fn yaml(text: &str, terms: &Terms) -> Vec<String> {
    // The indent of the key that opened a block scalar; deeper lines are its text.
    let mut block: Option<usize> = None;
    text.lines()
        .map(|line| {
            let indent = line.len() - line.trim_start().len();
            if let Some(owner) = block {
                if line.trim().is_empty() || indent > owner {
                    return span("s", line);
                }
                block = None;
            }
            let mut out = line[..indent].to_owned();
            let mut rest = &line[indent..];
            let mut column = indent;
            while let Some(after) = rest.strip_prefix("- ") {
                out.push_str(r#"<span class="p">-</span> "#);
                rest = after;
                column += 2;
            }
            if rest.starts_with('#') || rest == "---" || rest == "..." {
                out.push_str(&span(if rest.starts_with('#') { "c" } else { "p" }, rest));
                return out;
            }
            let (code, comment) = split_comment(rest);
            if let Some((key, value)) = split_key(code) {
                out.push_str(&word("k", key, terms));
                out.push_str(r#"<span class="p">:</span>"#);
                if matches!(value.trim().chars().next(), Some('|' | '>')) {
                    block = Some(column);
                    out.push_str(&span("p", value));
                } else {
                    scalar(&mut out, value, terms);
                }
            } else {
                scalar(&mut out, code, terms);
            }
            if !comment.is_empty() {
                out.push_str(&span("c", comment));
            }
            out
        })
        .collect()
}

/// Cuts a trailing comment off; a `#` begins one only after a space and outside quotes.
fn split_comment(line: &str) -> (&str, &str) {
    let (mut quote, mut before) = (None, ' ');
    for (at, letter) in line.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '#' && before == ' ' => return line.split_at(at),
            None if (letter == '"' || letter == '\'')
                && matches!(before, ' ' | '[' | ',' | '{') =>
            {
                quote = Some(letter);
            }
            None => {}
        }
        before = letter;
    }
    (line, "")
}

fn split_key(code: &str) -> Option<(&str, &str)> {
    if code.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    let at = code
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| matches!(code.as_bytes().get(at + 1), None | Some(b' ')))?;
    Some((&code[..at], &code[at + 1..]))
}

/// A plain, quoted or flow value, with the space around it kept.
fn scalar(out: &mut String, text: &str, terms: &Terms) {
    let mut rest = text;
    while !rest.is_empty() {
        let first = rest.as_bytes()[0];
        let end = match first {
            b'"' | b'\'' => {
                let close = rest[1..]
                    .find(char::from(first))
                    .map_or(rest.len(), |at| at + 2);
                out.push_str(&span("s", &rest[..close]));
                close
            }
            b'[' | b']' | b'{' | b'}' | b',' => {
                out.push_str(&span("p", &rest[..1]));
                1
            }
            b' ' => {
                out.push(' ');
                1
            }
            _ => {
                let flow = text.trim_start().starts_with(['[', '{']);
                let end = if flow {
                    rest.find([',', ']', '}', ':']).unwrap_or(rest.len())
                } else {
                    rest.len()
                };
                let end = end.max(1);
                let plain = &rest[..end];
                let bare = plain.trim_end();
                let constant =
                    bare.parse::<f64>().is_ok() || matches!(bare, "true" | "false" | "null" | "~");
                out.push_str(&word(if constant { "n" } else { "s" }, bare, terms));
                out.push_str(&plain[bare.len()..]);
                end
            }
        };
        rest = &rest[end..];
    }
}

fn word(class: &str, text: &str, terms: &Terms) -> String {
    match terms.of(text) {
        Some(term) => format!(
            r#"<span class="{class}" data-term="{}">{}</span>"#,
            escape(term),
            escape(text)
        ),
        None => span(class, text),
    }
}

fn span(class: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return text.to_owned();
    }
    format!(r#"<span class="{class}">{}</span>"#, escape(text))
}

/// The words of SQL that the chapter's statements use, and their near neighbours.
const SQL: [&str; 44] = [
    "add", "alter", "and", "as", "asc", "begin", "by", "column", "commit", "count", "create",
    "default", "delete", "desc", "distinct", "drop", "exists", "from", "group", "if", "in",
    "insert", "int", "integer", "into", "key", "limit", "not", "now", "null", "on", "or", "order",
    "primary", "rollback", "select", "serial", "set", "table", "text", "update", "values",
    "varchar", "where",
];

/// SQL, whole or a line of it. Classes: `k` keyword, `s` string, `n` number, `c` comment.
pub(super) fn sql(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (class, end) = if rest.starts_with("--") {
            ("c", rest.find('\n').unwrap_or(rest.len()))
        } else if first == '\'' {
            ("s", rest[1..].find('\'').map_or(rest.len(), |at| at + 2))
        } else if first.is_ascii_digit() {
            ("n", run(rest, |c| c.is_ascii_digit() || c == '.'))
        } else if first.is_alphabetic() || first == '_' {
            let end = run(rest, |c| c.is_alphanumeric() || c == '_');
            (
                if SQL.contains(&rest[..end].to_lowercase().as_str()) {
                    "k"
                } else {
                    ""
                },
                end,
            )
        } else {
            ("", first.len_utf8())
        };
        if class.is_empty() {
            out.push_str(&escape(&rest[..end]));
        } else {
            out.push_str(&span(class, &rest[..end]));
        }
        rest = &rest[end..];
    }
    out
}

fn run(text: &str, keep: impl Fn(char) -> bool) -> usize {
    text.find(|c| !keep(c)).unwrap_or(text.len())
}

/// A session at a terminal: what is typed can be copied, what is printed can't be mistaken for it.
///
/// A command becomes `<div class="cmd">` with its prompt and, line by line, what is typed in `<kbd>`; a line that
/// ends in a backslash, or is followed by psql's continuation prompt, takes the next line into the same command.
/// Everything between is `<pre class="out">`.
pub(super) fn console(text: &str) -> String {
    let mut out = String::from(r#"<div class="console">"#);
    let mut printed: Vec<&str> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(prompt) = prompt(line) else {
            printed.push(line);
            continue;
        };
        write_printed(&mut out, &mut printed);
        let shell = prompt == "$ ";
        out.push_str(if shell {
            r#"<div class="cmd">"#
        } else {
            r#"<div class="cmd psql">"#
        });
        write_typed(&mut out, prompt, &line[prompt.len()..], shell);
        let mut last = line;
        loop {
            let more = match lines.peek() {
                Some(next) if shell && last.ends_with('\\') => Some(("", *next)),
                Some(next) if !shell => self::prompt(next)
                    .filter(|p| is_continuation(p))
                    .map(|p| (p, &next[p.len()..])),
                _ => None,
            };
            let Some((prompt, typed)) = more else { break };
            last = lines.next().expect("the line was peeked at");
            out.push('\n');
            write_typed(&mut out, prompt, typed, shell);
        }
        out.push_str("</div>");
    }
    write_printed(&mut out, &mut printed);
    out.push_str("</div>");
    out
}

fn write_typed(out: &mut String, prompt: &str, typed: &str, shell: bool) {
    if !prompt.is_empty() {
        let _ = write!(out, r#"<span class="prompt">{}</span>"#, escape(prompt));
    }
    let typed = if shell { words(typed) } else { sql(typed) };
    let _ = write!(out, "<kbd>{typed}</kbd>");
}

/// A shell command, with the words that hold a hyphen in spans: browsers break lines after a hyphen, and
/// `--` at the end of one line with `wait=false` on the next teaches a wrong command.
fn words(typed: &str) -> String {
    let word = |word: &str| match word.trim_end() {
        bare if bare.contains('-') => {
            format!(
                r#"<span class="w">{}</span>{}"#,
                escape(bare),
                &word[bare.len()..]
            )
        }
        _ => escape(word).into_owned(),
    };
    typed.split_inclusive(' ').map(word).collect()
}

fn write_printed(out: &mut String, printed: &mut Vec<&str>) {
    if printed.iter().any(|line| !line.trim().is_empty()) {
        let text = printed.join("\n");
        let _ = write!(
            out,
            r#"<pre class="out">{}</pre>"#,
            escape(text.trim_matches('\n'))
        );
    }
    printed.clear();
}

/// The prompt at the start of a line: `$ `, or psql's (`app_db=# `, `app_db-> `, `app_db=*# `).
fn prompt(line: &str) -> Option<&str> {
    if line.starts_with("$ ") {
        return Some("$ ");
    }
    let name = run(line, |c| c.is_ascii_alphanumeric() || c == '_');
    let state = run(&line[name..], |c| "=-(*!^'\"".contains(c));
    let end = name + state;
    let sign = matches!(line.as_bytes().get(end), Some(b'#' | b'>'));
    (name > 0 && state > 0 && sign && line.as_bytes().get(end + 1) == Some(&b' '))
        .then(|| &line[..end + 2])
}

/// Whether psql is still in the middle of a statement. `=` stands at the beginning of one.
fn is_continuation(prompt: &str) -> bool {
    prompt != "$ " && !prompt.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            words: vec![("StatefulSet".to_owned(), "sts".to_owned())],
            ..Terms::default()
        }
    }

    #[test]
    fn yaml_lines_keep_their_text_and_get_classes() {
        let table = [
            (
                "kind: StatefulSet",
                r#"<span class="k">kind</span><span class="p">:</span> <span class="s" data-term="sts">StatefulSet</span>"#,
            ),
            (
                "  replicas: 1",
                r#"  <span class="k">replicas</span><span class="p">:</span> <span class="n">1</span>"#,
            ),
            (
                "- name: a # b",
                r#"<span class="p">-</span> <span class="k">name</span><span class="p">:</span> <span class="s">a</span> <span class="c"># b</span>"#,
            ),
            (
                "a: [\"x # y\", 2]",
                r#"<span class="k">a</span><span class="p">:</span> <span class="p">[</span><span class="s">&quot;x # y&quot;</span><span class="p">,</span> <span class="n">2</span><span class="p">]</span>"#,
            ),
            (
                "image: postgres:18",
                r#"<span class="k">image</span><span class="p">:</span> <span class="s">postgres:18</span>"#,
            ),
            ("---", r#"<span class="p">---</span>"#),
            ("# 日本語", r#"<span class="c"># 日本語</span>"#),
        ];
        for (line, wanted) in table {
            assert_eq!(yaml(line, &terms()), [wanted], "{line}");
        }
    }

    #[test]
    fn a_block_scalar_is_text_until_the_indent_returns() {
        let lines = yaml("run: |\n  a: b\n\nnext: 1\n", &terms());
        assert_eq!(lines[1], r#"<span class="s">  a: b</span>"#);
        assert!(lines[3].starts_with(r#"<span class="k">next</span>"#));
    }

    #[test]
    fn what_is_typed_is_apart_from_what_is_printed() {
        let html = console(
            "$ kubectl get pod \\\n    -w\nNAME <x>\napp_db=# SELECT 1\napp_db-# FROM t;\n 1\n$ ls\n",
        );
        assert_eq!(
            html,
            "<div class=\"console\"><div class=\"cmd\"><span class=\"prompt\">$ </span><kbd>kubectl get pod \\</kbd>\n\
             <kbd>    <span class=\"w\">-w</span></kbd></div><pre class=\"out\">NAME &lt;x&gt;</pre>\
             <div class=\"cmd psql\"><span class=\"prompt\">app_db=# </span><kbd><span class=\"k\">SELECT</span> <span class=\"n\">1</span></kbd>\n\
             <span class=\"prompt\">app_db-# </span><kbd><span class=\"k\">FROM</span> t;</kbd></div><pre class=\"out\"> 1</pre>\
             <div class=\"cmd\"><span class=\"prompt\">$ </span><kbd>ls</kbd></div></div>"
        );
    }

    #[test]
    fn a_prompt_is_a_prompt_only_at_the_start() {
        let table = [
            ("app_db=# \\q", Some("app_db=# ")),
            ("app_db=*# COMMIT;", Some("app_db=*# ")),
            ("app_db(# x", Some("app_db(# ")),
            ("$ ls", Some("$ ")),
            ("a=b # c", None),
            ("pod/x-0 # y", None),
            ("# comment", None),
        ];
        for (line, wanted) in table {
            assert_eq!(prompt(line), wanted, "{line}");
        }
    }
}
