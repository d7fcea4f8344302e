//! The grammar of a small POSIX shell: text in, commands out.

/// Why a text is no script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not finished: an interactive shell asks for more.
    Incomplete,
    /// It is wrong, here.
    Unexpected(String),
    /// There is too much within each other.
    TooDeep,
}

/// Commands after each other; `true`: in the background.
pub(super) type List = Vec<(AndOr, bool)>;

/// Pipelines joined by `&&` (`true`) and `||`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(bool, Pipeline)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) kind: Kind,
    pub(super) redirects: Vec<Redirect>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
    },
    Group(List),
    Subshell(List),
    If {
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    Loop {
        until: bool,
        condition: List,
        body: List,
    },
    For {
        name: String,
        words: Option<Vec<Word>>,
        body: List,
    },
    Case {
        word: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    Function {
        name: String,
        body: Box<Command>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) stream: u8,
    pub(super) how: How,
    pub(super) target: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Read,
    Truncate,
    Append,
    /// `>&` and `<&`: as another stream.
    Same,
    /// `<<`: the target is the text.
    Here,
}

/// A word's parts. What is quoted is not split and not a pattern.
pub(super) type Word = Vec<Part>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text {
        text: String,
        quoted: bool,
    },
    /// `$name`, `${name}` and `${name` operator word `}`; `${#name}` has the operator `#`.
    Variable {
        name: String,
        operator: String,
        word: Word,
        quoted: bool,
    },
    Command {
        list: List,
        quoted: bool,
    },
    Arithmetic {
        word: Word,
        quoted: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(Word),
    Operator(&'static str),
    Newline,
    End,
}

/// Longest first.
const OPERATORS: [&str; 17] = [
    "<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", ">|", "<>", ";", "&", "|", "<", ">", "(", ")",
];

/// How deep commands, substitutions and parentheses may lie within each other.
const DEEPEST: usize = 200;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<List, Fault> {
    parse_within(text, 0)
}

/// Parses a text that lies so deep in another one.
fn parse_within(text: &str, depth: usize) -> Result<List, Fault> {
    let mut parser = Parser::new(text, depth);
    parser.next()?;
    let mut list = parser.list(&[])?;
    if parser.token != Token::End {
        return Err(parser.unexpected());
    }
    if !parser.heres.is_empty() {
        return Err(Fault::Incomplete);
    }
    fill_heres(&mut list, &mut parser.texts.into_iter());
    Ok(list)
}

struct Parser {
    text: Vec<char>,
    at: usize,
    token: Token,
    /// A number directly before a redirection.
    number: Option<u8>,
    /// Here-documents whose text begins on the next line: end mark, whether it is quoted, whether tabs are dropped.
    heres: Vec<(String, bool, bool)>,
    /// Their texts, in order.
    texts: Vec<Word>,
    depth: usize,
}

impl Parser {
    fn new(text: &str, depth: usize) -> Self {
        Self {
            text: text.chars().collect(),
            at: 0,
            token: Token::End,
            number: None,
            heres: Vec::new(),
            texts: Vec::new(),
            depth,
        }
    }

    /// Reads what lies one deeper.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= DEEPEST {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn looking_at(&self, what: &str) -> bool {
        what.chars()
            .enumerate()
            .all(|(i, c)| self.text.get(self.at + i) == Some(&c))
    }

    fn unexpected(&self) -> Fault {
        match &self.token {
            Token::End => Fault::Incomplete,
            Token::Newline => Fault::Unexpected("newline".to_owned()),
            Token::Operator(operator) => Fault::Unexpected((*operator).to_owned()),
            Token::Word(word) => {
                Fault::Unexpected(plain(word).unwrap_or_else(|| "word".to_owned()))
            }
        }
    }

    fn next(&mut self) -> Result<(), Fault> {
        while let Some(c) = self.peek() {
            if c == '\\' && self.text.get(self.at + 1) == Some(&'\n') {
                self.at += 2;
            } else if c == ' ' || c == '\t' || c == '\r' {
                self.at += 1;
            } else if c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else {
                break;
            }
        }
        self.number = None;
        let digits = self.text[self.at..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .count();
        if digits == 1 && matches!(self.text.get(self.at + 1), Some('<' | '>')) {
            self.number = self.text[self.at]
                .to_digit(10)
                .and_then(|n| u8::try_from(n).ok());
            self.at += 1;
        }
        self.token = match self.peek() {
            None => Token::End,
            Some('\n') => {
                self.at += 1;
                self.read_heres()?;
                Token::Newline
            }
            Some(_) => match OPERATORS.iter().find(|operator| self.looking_at(operator)) {
                Some(operator) => {
                    self.at += operator.len();
                    Token::Operator(operator)
                }
                None => Token::Word(self.word()?),
            },
        };
        Ok(())
    }

    fn read_heres(&mut self) -> Result<(), Fault> {
        for (mark, quoted, drops_tabs) in std::mem::take(&mut self.heres) {
            let mut text = String::new();
            loop {
                if self.at >= self.text.len() {
                    return Err(Fault::Incomplete);
                }
                let line: String = self.text[self.at..]
                    .iter()
                    .take_while(|c| **c != '\n')
                    .collect();
                self.at = (self.at + line.chars().count() + 1).min(self.text.len());
                let line = if drops_tabs {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if line == mark {
                    break;
                }
                text.push_str(line);
                text.push('\n');
            }
            let word = if quoted {
                vec![Part::Text { text, quoted: true }]
            } else {
                quoted_text(&text, self.depth)?
            };
            self.texts.push(word);
        }
        Ok(())
    }

    /// A word, up to a blank or an operator.
    fn word(&mut self) -> Result<Word, Fault> {
        let mut word = Word::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.at += 1;
                    let text = self.until('\'')?;
                    word.push(Part::Text { text, quoted: true });
                }
                '"' => {
                    self.at += 1;
                    word.push(Part::Text {
                        text: String::new(),
                        quoted: true,
                    });
                    self.double_quoted(&mut word, Some('"'))?;
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        None => return Err(Fault::Incomplete),
                        Some('\n') => {}
                        Some(c) => push_text(&mut word, c, true),
                    }
                    self.at += 1;
                }
                '$' | '`' => self.substitution(&mut word, false)?,
                c => {
                    self.at += 1;
                    push_text(&mut word, c, false);
                }
            }
        }
        Ok(word)
    }

    fn until(&mut self, end: char) -> Result<String, Fault> {
        let length = self.text[self.at..]
            .iter()
            .position(|c| *c == end)
            .ok_or(Fault::Incomplete)?;
        let text = self.text[self.at..self.at + length].iter().collect();
        self.at += length + 1;
        Ok(text)
    }

    fn double_quoted(&mut self, word: &mut Word, end: Option<char>) -> Result<(), Fault> {
        loop {
            match self.peek() {
                c if c == end => {
                    self.at += 1;
                    return Ok(());
                }
                None => return Err(Fault::Incomplete),
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        None => return Err(Fault::Incomplete),
                        Some('\n') => {}
                        Some(c @ ('$' | '`' | '"' | '\\')) => push_text(word, c, true),
                        Some(c) => {
                            push_text(word, '\\', true);
                            push_text(word, c, true);
                        }
                    }
                    self.at += 1;
                }
                Some('$' | '`') => self.substitution(word, true)?,
                Some(c) => {
                    self.at += 1;
                    push_text(word, c, true);
                }
            }
        }
    }

    /// What begins with a dollar or a backquote.
    fn substitution(&mut self, word: &mut Word, quoted: bool) -> Result<(), Fault> {
        self.within(|parser| parser.substituted(word, quoted))
    }

    fn substituted(&mut self, word: &mut Word, quoted: bool) -> Result<(), Fault> {
        if self.peek() == Some('`') {
            self.at += 1;
            let text = self.until('`')?;
            let list = parse_within(&text, self.depth)?;
            word.push(Part::Command { list, quoted });
            return Ok(());
        }
        self.at += 1;
        if self.looking_at("((") {
            self.at += 2;
            let mut inner = String::new();
            let mut depth = 0;
            loop {
                match self.peek().ok_or(Fault::Incomplete)? {
                    ')' if depth == 0 && self.looking_at("))") => break,
                    c => {
                        depth += i32::from(c == '(') - i32::from(c == ')');
                        inner.push(c);
                        self.at += 1;
                    }
                }
            }
            self.at += 2;
            word.push(Part::Arithmetic {
                word: quoted_text(&inner, self.depth)?,
                quoted,
            });
        } else if self.looking_at("(") {
            self.at += 1;
            // The rest is a script up to the closing parenthesis.
            let saved = (
                std::mem::replace(&mut self.token, Token::End),
                self.number.take(),
            );
            let (heres, texts) = (
                std::mem::take(&mut self.heres),
                std::mem::take(&mut self.texts),
            );
            self.next()?;
            let mut list = self.list(&[])?;
            if self.token != Token::Operator(")") {
                return Err(self.unexpected());
            }
            fill_heres(
                &mut list,
                &mut std::mem::replace(&mut self.texts, texts).into_iter(),
            );
            self.heres = heres;
            (self.token, self.number) = saved;
            word.push(Part::Command { list, quoted });
        } else if self.looking_at("{") {
            self.at += 1;
            self.braced(word, quoted)?;
        } else {
            let name = self.name();
            if name.is_empty() {
                push_text(word, '$', quoted);
            } else {
                word.push(variable(name, "", Word::new(), quoted));
            }
        }
        Ok(())
    }

    /// A variable's name, or one special parameter.
    fn name(&mut self) -> String {
        let start = self.at;
        match self.peek() {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                while self
                    .peek()
                    .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                {
                    self.at += 1;
                }
            }
            Some('0'..='9' | '@' | '*' | '#' | '?' | '$' | '!' | '-') => self.at += 1,
            _ => {}
        }
        self.text[start..self.at].iter().collect()
    }

    fn braced(&mut self, word: &mut Word, quoted: bool) -> Result<(), Fault> {
        if self.peek() == Some('#') && self.text.get(self.at + 1) != Some(&'}') {
            self.at += 1;
            let name = self.name();
            if self.peek() != Some('}') {
                return Err(self.bad_substitution());
            }
            self.at += 1;
            word.push(variable(name, "#", Word::new(), quoted));
            return Ok(());
        }
        let mut name = self.name();
        while name.starts_with(|c: char| c.is_ascii_digit())
            && self.peek().is_some_and(|c| c.is_ascii_digit())
        {
            name.push_str(&self.name());
        }
        let known = [
            ":-", ":=", ":?", ":+", "##", "%%", "-", "=", "?", "+", "#", "%",
        ];
        let operator = known
            .into_iter()
            .find(|operator| self.looking_at(operator))
            .unwrap_or("");
        self.at += operator.len();
        let mut inner = Word::new();
        if operator.is_empty() {
            if self.peek() != Some('}') {
                return Err(self.bad_substitution());
            }
            self.at += 1;
        } else {
            self.double_quoted_or_plain(&mut inner, quoted)?;
        }
        if name.is_empty() {
            return Err(self.bad_substitution());
        }
        word.push(variable(name, operator, inner, quoted));
        Ok(())
    }

    /// The word in `${name:-word}`, up to the closing brace.
    fn double_quoted_or_plain(&mut self, word: &mut Word, quoted: bool) -> Result<(), Fault> {
        loop {
            match self.peek().ok_or(Fault::Incomplete)? {
                '}' => {
                    self.at += 1;
                    return Ok(());
                }
                '\'' if !quoted => {
                    self.at += 1;
                    let text = self.until('\'')?;
                    word.push(Part::Text { text, quoted: true });
                }
                '"' => {
                    self.at += 1;
                    self.double_quoted(word, Some('"'))?;
                }
                '\\' => {
                    self.at += 1;
                    push_text(word, self.peek().ok_or(Fault::Incomplete)?, true);
                    self.at += 1;
                }
                '$' | '`' => self.substitution(word, quoted)?,
                c => {
                    push_text(word, c, quoted);
                    self.at += 1;
                }
            }
        }
    }

    fn bad_substitution(&self) -> Fault {
        if self.at >= self.text.len() {
            Fault::Incomplete
        } else {
            Fault::Unexpected("Bad substitution".to_owned())
        }
    }

    /// Whether the token is this reserved word, unquoted.
    fn is_reserved(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(parts)
            if matches!(parts.as_slice(), [Part::Text { text, quoted: false }] if text == word))
    }

    fn skip_newlines(&mut self) -> Result<(), Fault> {
        while self.token == Token::Newline {
            self.next()?;
        }
        Ok(())
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if self.is_reserved(word) {
            self.next()
        } else {
            Err(self.unexpected())
        }
    }

    /// Commands up to one of these reserved words, a closing parenthesis, `;;` or the end.
    fn list(&mut self, ends: &[&str]) -> Result<List, Fault> {
        let mut list = List::new();
        loop {
            self.skip_newlines()?;
            let at_end = matches!(self.token, Token::End | Token::Operator(")" | ";;"));
            if at_end || ends.iter().any(|end| self.is_reserved(end)) {
                return Ok(list);
            }
            let and_or = self.and_or()?;
            let background = self.token == Token::Operator("&");
            let separated =
                background || matches!(self.token, Token::Operator(";") | Token::Newline);
            list.push((and_or, background));
            if separated {
                self.next()?;
            } else if !matches!(self.token, Token::End | Token::Operator(")" | ";;")) {
                return Err(self.unexpected());
            }
        }
    }

    /// A list that must not be empty.
    fn body(&mut self, ends: &[&str]) -> Result<List, Fault> {
        let list = self.list(ends)?;
        if list.is_empty() {
            return Err(self.unexpected());
        }
        Ok(list)
    }

    fn and_or(&mut self) -> Result<AndOr, Fault> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        while let Token::Operator(operator @ ("&&" | "||")) = self.token {
            self.next()?;
            self.skip_newlines()?;
            rest.push((operator == "&&", self.pipeline()?));
        }
        Ok(AndOr { first, rest })
    }

    fn pipeline(&mut self) -> Result<Pipeline, Fault> {
        let mut negated = false;
        while self.is_reserved("!") {
            negated = !negated;
            self.next()?;
        }
        let mut commands = vec![self.command()?];
        while self.token == Token::Operator("|") {
            self.next()?;
            self.skip_newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Result<Command, Fault> {
        self.within(Self::any_command)
    }

    fn any_command(&mut self) -> Result<Command, Fault> {
        let kind = if self.token == Token::Operator("(") {
            self.next()?;
            let list = self.body(&[])?;
            if self.token != Token::Operator(")") {
                return Err(self.unexpected());
            }
            self.next()?;
            Kind::Subshell(list)
        } else if self.is_reserved("{") {
            self.next()?;
            let list = self.body(&["}"])?;
            self.expect("}")?;
            Kind::Group(list)
        } else if self.is_reserved("if") {
            self.conditional()?
        } else if self.is_reserved("while") || self.is_reserved("until") {
            let until = self.is_reserved("until");
            self.next()?;
            let condition = self.body(&["do"])?;
            let body = self.do_body()?;
            Kind::Loop {
                until,
                condition,
                body,
            }
        } else if self.is_reserved("for") {
            self.for_loop()?
        } else if self.is_reserved("case") {
            self.case()?
        } else {
            return self.simple();
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command { kind, redirects })
    }

    fn conditional(&mut self) -> Result<Kind, Fault> {
        let mut branches = Vec::new();
        let mut otherwise = None;
        loop {
            self.next()?;
            let condition = self.body(&["then"])?;
            self.expect("then")?;
            branches.push((condition, self.body(&["elif", "else", "fi"])?));
            if !self.is_reserved("elif") {
                break;
            }
        }
        if self.is_reserved("else") {
            self.next()?;
            otherwise = Some(self.body(&["fi"])?);
        }
        self.expect("fi")?;
        Ok(Kind::If {
            branches,
            otherwise,
        })
    }

    fn do_body(&mut self) -> Result<List, Fault> {
        self.expect("do")?;
        let body = self.body(&["done"])?;
        self.expect("done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Result<Kind, Fault> {
        self.next()?;
        let name = match &self.token {
            Token::Word(word) => plain(word)
                .filter(|name| is_name(name))
                .ok_or_else(|| self.unexpected())?,
            _ => return Err(self.unexpected()),
        };
        self.next()?;
        self.skip_newlines()?;
        let mut words = None;
        if self.is_reserved("in") {
            self.next()?;
            let mut list = Vec::new();
            while let Token::Word(word) = &self.token {
                list.push(word.clone());
                self.next()?;
            }
            words = Some(list);
        }
        if self.token == Token::Operator(";") {
            self.next()?;
        }
        self.skip_newlines()?;
        let body = self.do_body()?;
        Ok(Kind::For { name, words, body })
    }

    fn case(&mut self) -> Result<Kind, Fault> {
        self.next()?;
        let Token::Word(word) = self.token.clone() else {
            return Err(self.unexpected());
        };
        self.next()?;
        self.skip_newlines()?;
        self.expect("in")?;
        self.skip_newlines()?;
        let mut arms = Vec::new();
        while !self.is_reserved("esac") {
            if self.token == Token::Operator("(") {
                self.next()?;
            }
            let mut patterns = Vec::new();
            loop {
                let Token::Word(pattern) = self.token.clone() else {
                    return Err(self.unexpected());
                };
                patterns.push(pattern);
                self.next()?;
                match self.token {
                    Token::Operator("|") => self.next()?,
                    Token::Operator(")") => break,
                    _ => return Err(self.unexpected()),
                }
            }
            self.next()?;
            arms.push((patterns, self.list(&["esac"])?));
            if self.token == Token::Operator(";;") {
                self.next()?;
            }
            self.skip_newlines()?;
        }
        self.next()?;
        Ok(Kind::Case { word, arms })
    }

    fn simple(&mut self) -> Result<Command, Fault> {
        const CLOSING: [&str; 10] = [
            "then", "elif", "else", "fi", "do", "done", "esac", "in", "}", "!",
        ];
        if CLOSING.iter().any(|word| self.is_reserved(word)) {
            return Err(self.unexpected());
        }
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let Token::Word(word) = &self.token else {
                break;
            };
            let word = word.clone();
            match assignment(&word) {
                Some(assignment) if words.is_empty() => assignments.push(assignment),
                _ => words.push(word),
            }
            self.next()?;
            if self.token == Token::Operator("(") && words.len() == 1 && assignments.is_empty() {
                let name = plain(&words[0])
                    .filter(|name| is_name(name))
                    .ok_or_else(|| self.unexpected())?;
                self.next()?;
                if self.token != Token::Operator(")") {
                    return Err(self.unexpected());
                }
                self.next()?;
                self.skip_newlines()?;
                let body = Box::new(self.command()?);
                return Ok(Command {
                    kind: Kind::Function { name, body },
                    redirects,
                });
            }
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command {
            kind: Kind::Simple { assignments, words },
            redirects,
        })
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, Fault> {
        let (how, stream) = match self.token {
            Token::Operator("<" | "<>") => (How::Read, 0),
            Token::Operator(">" | ">|") => (How::Truncate, 1),
            Token::Operator(">>") => (How::Append, 1),
            Token::Operator("<&") => (How::Same, 0),
            Token::Operator(">&") => (How::Same, 1),
            Token::Operator("<<" | "<<-") => (How::Here, 0),
            _ => return Ok(None),
        };
        let stream = self.number.unwrap_or(stream);
        let drops_tabs = self.token == Token::Operator("<<-");
        self.next()?;
        let Token::Word(target) = self.token.clone() else {
            return Err(self.unexpected());
        };
        if how == How::Here {
            let quoted = target
                .iter()
                .any(|part| matches!(part, Part::Text { quoted: true, .. }));
            let mark = plain(&target).ok_or_else(|| self.unexpected())?;
            self.heres.push((mark, quoted, drops_tabs));
        }
        self.next()?;
        Ok(Some(Redirect {
            stream,
            how,
            target,
        }))
    }
}

/// Text as between double quotes, where a quote means nothing: a here-document, or arithmetic.
fn quoted_text(text: &str, depth: usize) -> Result<Word, Fault> {
    let mut parser = Parser::new(text, depth);
    let mut word = vec![Part::Text {
        text: String::new(),
        quoted: true,
    }];
    parser.double_quoted(&mut word, None)?;
    Ok(word)
}

/// Puts the texts of here-documents, which come after their commands, where they belong.
fn fill_heres(list: &mut List, texts: &mut std::vec::IntoIter<Word>) {
    for (and_or, _) in list {
        let pipelines = std::iter::once(&mut and_or.first)
            .chain(and_or.rest.iter_mut().map(|(_, pipeline)| pipeline));
        for command in pipelines.flat_map(|pipeline| &mut pipeline.commands) {
            fill_command(command, texts);
        }
    }
}

fn fill_command(command: &mut Command, texts: &mut std::vec::IntoIter<Word>) {
    match &mut command.kind {
        Kind::Simple { .. } => {}
        Kind::Group(list) | Kind::Subshell(list) => fill_heres(list, texts),
        Kind::If {
            branches,
            otherwise,
        } => {
            for (condition, body) in branches {
                fill_heres(condition, texts);
                fill_heres(body, texts);
            }
            if let Some(list) = otherwise {
                fill_heres(list, texts);
            }
        }
        Kind::Loop {
            condition, body, ..
        } => {
            fill_heres(condition, texts);
            fill_heres(body, texts);
        }
        Kind::For { body, .. } => fill_heres(body, texts),
        Kind::Case { arms, .. } => arms
            .iter_mut()
            .for_each(|(_, list)| fill_heres(list, texts)),
        Kind::Function { body, .. } => fill_command(body, texts),
    }
    for redirect in &mut command.redirects {
        if redirect.how == How::Here {
            redirect.target = texts.next().unwrap_or_default();
        }
    }
}

fn variable(name: String, operator: &str, word: Word, quoted: bool) -> Part {
    Part::Variable {
        name,
        operator: operator.to_owned(),
        word,
        quoted,
    }
}

fn push_text(word: &mut Word, c: char, is_quoted: bool) {
    match word.last_mut() {
        Some(Part::Text { text, quoted }) if *quoted == is_quoted => text.push(c),
        _ => word.push(Part::Text {
            text: c.to_string(),
            quoted: is_quoted,
        }),
    }
}

/// A word without substitutions, as text.
fn plain(word: &Word) -> Option<String> {
    word.iter()
        .map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// Whether a text can be a variable's name.
pub(super) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `name=word`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text {
        text,
        quoted: false,
    }) = word.first()
    else {
        return None;
    };
    let (name, value) = text.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut rest = word.clone();
    rest[0] = Part::Text {
        text: value.to_owned(),
        quoted: false,
    };
    Some((name.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_text_asks_for_more() {
        for text in [
            "echo 'a",
            "echo \"a",
            "if true; then",
            "while true; do echo",
            "a &&",
            "a |",
            "(a",
            "$(a",
            "cat <<E\nx",
            "case a in",
            "echo ${a",
            "a \\",
        ] {
            assert_eq!(parse(text), Err(Fault::Incomplete), "{text}");
        }
    }

    #[test]
    fn wrong_text_is_named() {
        for (text, what) in [
            (")", ")"),
            ("a ;; b", ";;"),
            ("then", "then"),
            ("a | ; b", ";"),
            ("if ; then", ";"),
            ("{ }", "}"),
        ] {
            assert_eq!(
                parse(text),
                Err(Fault::Unexpected(what.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn a_monstrous_text_is_refused() {
        let work = || {
            for unit in [
                "(",
                "{ ",
                "$(",
                "${a:-",
                "$((",
                "if ",
                "\"$(",
                "f() ",
                "while (",
                "case a in a) ",
            ] {
                let fault = parse(&unit.repeat(100_000)).unwrap_err();
                assert!(
                    matches!(
                        fault,
                        Fault::TooDeep | Fault::Incomplete | Fault::Unexpected(_)
                    ),
                    "{unit}"
                );
            }
            assert_eq!(parse(&"(".repeat(100_000)), Err(Fault::TooDeep));
            assert!(parse(&("(".repeat(50) + "a" + &")".repeat(50))).is_ok());
            assert!(parse(&"a | ".repeat(100_000)).is_err());
            assert_eq!(parse(&"a && b; ".repeat(10_000)).unwrap().len(), 10_000);
        };
        crate::threads::Threads::default()
            .spawn(work)
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn a_line_of_many_commands_is_taken_apart() {
        let list = parse("a=1 b 'c d' >x 2>&1 | d && ! e & f").unwrap();
        assert_eq!(list.len(), 2);
        assert!(list[0].1, "in the background");
        let first = &list[0].0.first.commands[0];
        let Kind::Simple { assignments, words } = &first.kind else {
            panic!()
        };
        assert_eq!((assignments.len(), words.len()), (1, 2));
        let how: Vec<_> = first.redirects.iter().map(|r| (r.stream, r.how)).collect();
        assert_eq!(how, [(1, How::Truncate), (2, How::Same)]);
        assert!(list[0].0.rest[0].1.negated);
    }
}
