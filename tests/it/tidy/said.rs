//! What the sources say to people: in the log, in Events, in health answers, and why.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Fields, Ident, LitStr};

use crate::tidy::source::{Source, attributes_of, is_for_tests};

/// Where a text is met: a log line, the reason of an Event, a word or text of the health endpoints, why something is so, a kind of problem
/// on the status page, the name of an alert.
pub const KINDS: [&str; 7] = ["WARN", "ERROR", "Event", "Health", "Reason", "Problem", "Alert"];
/// What log lines say whose whole text is a variable, and who writes those texts.
pub const VARIABLE: [(&str, &str); 2] = [("warning", "Reader::warn and `warnings` in src/config"), ("words", "`fn exhausted` in src/tell")];
/// Types whose texts are the `why` of a log line, a reason on the status page or what readiness waits for.
const REASONS: [&str; 7] = ["PathError", "LedgerError", "Barrier", "Lack", "ApiError", "Failure", "WatchTrouble"];

/// Texts, each with its kind, and where the source has it.
pub type Texts = BTreeMap<(&'static str, String), String>;

/// What people see of the texts in one file, and places where one cannot be read from the source.
struct Walk<'a> {
    source: &'a Source,
    constants: &'a BTreeMap<String, String>,
    texts: Texts,
    unreadable: Vec<String>,
    /// The functions that we are in.
    functions: Vec<String>,
}

/// The text as the page has it: with `…` for what differs each time.
fn shown(text: &str) -> String {
    let (mut shown, mut characters) = (String::new(), text.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '{' | '}' if characters.peek() == Some(&character) => shown.extend(characters.next()),
            '{' => {
                characters.by_ref().find(|character| *character == '}');
                shown.push('…');
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// The text of a token that is a string.
fn string(token: &TokenTree) -> Option<String> {
    matches!(token, TokenTree::Literal(_)).then(|| syn::parse_str::<LitStr>(&token.to_string()).ok()).flatten().map(|text| text.value())
}

/// The first string among tokens.
fn first_string(tokens: TokenStream) -> Option<String> {
    tokens.into_iter().find_map(|token| string(&token))
}

/// The message of a log line: its first argument that begins with a string.
fn message(tokens: TokenStream) -> Option<String> {
    let mut begins = true;
    for token in tokens {
        match (&token, begins) {
            (TokenTree::Literal(_), true) if string(&token).is_some() => return string(&token),
            (TokenTree::Punct(comma), _) => begins = comma.as_char() == ',',
            _ => begins = false,
        }
    }
    None
}

/// Strings in an expression: those of `format!` and the like by their first, constants by what they are.
struct Strings<'a> {
    constants: &'a BTreeMap<String, String>,
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Strings<'_> {
    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.found.push(text.value());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.found.extend(first_string(call.tokens.clone()));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.found.extend(path.segments.last().and_then(|name| self.constants.get(&name.ident.to_string())).cloned());
    }
}

fn strings<'a>(expressions: impl IntoIterator<Item = &'a Expr>, constants: &BTreeMap<String, String>) -> Vec<String> {
    let mut strings = Strings { constants, found: Vec::new() };
    expressions.into_iter().for_each(|expression| strings.visit_expr(expression));
    strings.found
}

impl Walk<'_> {
    fn is_in(&self, place: &str) -> bool {
        self.source.shown().starts_with(place)
    }

    fn note(&mut self, kind: &'static str, text: &str, line: usize) {
        let text = shown(text);
        if text.chars().any(char::is_alphabetic) {
            // What a number or another limit is told of stands before it.
            let text = if text.starts_with('=') { format!("…{text}") } else { text };
            self.texts.entry((kind, text)).or_insert_with(|| format!("{}:{line}", self.source.shown()));
        }
    }

    /// Log lines anywhere among tokens, as macros hold statements too.
    fn lines(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            if let [TokenTree::Ident(name), TokenTree::Punct(mark)] = &tokens[at.saturating_sub(2)..at]
                && mark.as_char() == '!'
            {
                self.line(name, group.stream());
            }
            self.lines(group.stream());
        }
    }

    fn line(&mut self, name: &Ident, arguments: TokenStream) {
        let kind = match name.to_string().as_str() {
            "warn" | "warn_once" => "WARN",
            "error" => "ERROR",
            _ => return,
        };
        let line = name.span().start().line;
        match message(arguments) {
            Some(text) if shown(&text) != "…" => self.note(kind, &text, line),
            Some(text) if VARIABLE.iter().any(|(name, _)| text == format!("{{{name}}}")) => {}
            _ => self.unreadable.push(format!("{}:{line}: {name}!", self.source.shown())),
        }
    }

    /// The kinds of problems that a macro declares: `Name: "one", "several", "what to do";`.
    fn problems(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for pair in tokens.windows(2) {
            if let [TokenTree::Ident(name), TokenTree::Punct(colon)] = pair
                && colon.as_char() == ':'
            {
                self.note("Problem", &snake(&name.to_string()), name.span().start().line);
            }
        }
    }

    /// A warning about settings.
    fn warning<'a>(&mut self, arguments: impl IntoIterator<Item = &'a Expr>, line: usize) {
        let found = strings(arguments, self.constants);
        if found.is_empty() && self.functions.last().is_none_or(|function| function != "warn") {
            self.unreadable.push(format!("{}:{line}: a warning about settings", self.source.shown()));
        }
        found.iter().for_each(|text| self.note("WARN", text, line));
    }

    /// All strings of a function.
    fn body(&mut self, kind: &'static str, block: &syn::Block, line: usize) {
        let mut strings = Strings { constants: self.constants, found: Vec::new() };
        strings.visit_block(block);
        strings.found.iter().for_each(|text| self.note(kind, text, line));
    }

    fn function(&mut self, name: &Ident, block: &syn::Block) {
        let line = name.span().start().line;
        match name.to_string().as_str() {
            "exhausted" if self.is_in("src/tell") => self.body("ERROR", block, line),
            "remarked" if self.is_in("src/config") => self.body("WARN", block, line),
            "verdict" if self.is_in("src/serve") => self.body("Health", block, line),
            _ => {}
        }
    }
}

/// What a macro in an attribute says: `#[error("…")]`, `#[serde(rename = "…")]`.
fn said(attributes: &[Attribute], name: &str) -> Option<(String, usize)> {
    let list =
        attributes.iter().filter(|attribute| attribute.path().is_ident(name)).filter_map(|attribute| attribute.meta.require_list().ok());
    list.filter_map(|list| Some((first_string(list.tokens.clone())?, list.path.segments[0].ident.span().start().line))).next()
}

fn has_word(attributes: &[Attribute], name: &str, word: &str) -> bool {
    let lists =
        attributes.iter().filter(|attribute| attribute.path().is_ident(name)).filter_map(|attribute| attribute.meta.require_list().ok());
    lists.flat_map(|list| list.tokens.clone()).any(|token| matches!(token, TokenTree::Ident(ident) if ident == word))
}

fn snake(name: &str) -> String {
    let words = name.chars().enumerate().flat_map(|(at, character)| {
        let gap = (at > 0 && character.is_uppercase()).then_some('_');
        gap.into_iter().chain(character.to_lowercase())
    });
    words.collect()
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.functions.push(item.sig.ident.to_string());
        visit::visit_item_fn(self, item);
        self.functions.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_for_tests(&item.attrs) {
            return;
        }
        self.function(&item.sig.ident, &item.block);
        self.functions.push(item.sig.ident.to_string());
        visit::visit_impl_item_fn(self, item);
        self.functions.pop();
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        item.default.iter().for_each(|block| self.function(&item.sig.ident, block));
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        // What defines a macro says nothing yet.
        if item.ident.is_none() {
            visit::visit_item_macro(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = call.path.segments.last() {
            self.line(&name.ident, call.tokens.clone());
            if name.ident == "kinds" && self.is_in("src/status") {
                self.problems(call.tokens.clone());
            }
            if name.ident == "format" && self.is_in("src/health/report.rs") && self.functions.last().is_some_and(|name| name == "report") {
                first_string(call.tokens.clone()).iter().for_each(|text| self.note("Health", text, name.ident.span().start().line));
            }
        }
        self.lines(call.tokens.clone());
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let is_of_warnings =
            matches!(&*call.receiver, Expr::Field(field) if matches!(&field.member, syn::Member::Named(name) if name == "warnings"));
        if self.is_in("src/config") && (call.method == "warn" || (is_of_warnings && (call.method == "push" || call.method == "extend"))) {
            self.warning(&call.args, call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(path) = &*call.func
            && let Some(name) =
                path.path.segments.iter().rev().take(2).map(|name| name.ident.to_string()).reduce(|last, first| format!("{first}::{last}"))
            && name == "Readiness::Waiting"
        {
            let line = path.path.segments[0].ident.span().start().line;
            strings(&call.args, self.constants).iter().for_each(|text| self.note("Health", text, line));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        if matches!(&*item.ty, syn::Type::Path(path) if path.path.is_ident("Reason")) {
            let line = item.ident.span().start().line;
            let name = strings([&*item.expr], &BTreeMap::new()).into_iter().next();
            name.iter().for_each(|name| self.note("Event", name, line));
        }
        visit::visit_item_static(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let told = self.is_in("src/health/report.rs") && has_word(&item.attrs, "derive", "Serialize");
        if let (true, Fields::Named(fields)) = (told, &item.fields) {
            for name in
                fields.named.iter().filter(|field| !has_word(&field.attrs, "serde", "skip")).filter_map(|field| field.ident.as_ref())
            {
                self.note("Health", &name.to_string(), name.span().start().line);
            }
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let is_health = self.is_in("src/health") && has_word(&item.attrs, "derive", "Serialize");
        for variant in &item.variants {
            let line = variant.ident.span().start().line;
            if is_health {
                let renamed = said(&variant.attrs, "serde").map(|(text, _)| text);
                self.note("Health", &renamed.unwrap_or_else(|| snake(&variant.ident.to_string())), line);
            }
            if let Some((text, line)) = said(&variant.attrs, "error").filter(|_| REASONS.iter().any(|name| item.ident == name)) {
                self.note("Reason", &text, line);
            }
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = match &*item.self_ty {
            syn::Type::Path(path) => path.path.get_ident(),
            _ => None,
        };
        let is_display = item.trait_.as_ref().is_some_and(|(path, _)| path.segments.last().is_some_and(|name| name.ident == "Display"));
        if let Some(name) = of.filter(|name| is_display && REASONS.iter().any(|reason| name == reason)) {
            for item in &item.items {
                if let syn::ImplItem::Fn(function) = item {
                    self.body("Reason", &function.block, name.span().start().line);
                }
            }
        }
        visit::visit_item_impl(self, item);
    }
}

/// Every constant that is a text, by its name.
fn constants(sources: &[Source]) -> BTreeMap<String, String> {
    struct Constants(BTreeMap<String, String>);
    impl<'ast> Visit<'ast> for Constants {
        fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
            if let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &*item.expr {
                self.0.insert(item.ident.to_string(), text.value());
            }
        }
    }
    let mut constants = Constants(BTreeMap::new());
    sources.iter().for_each(|source| constants.visit_file(&syn::parse_file(&source.text).unwrap()));
    constants.0
}

/// What these files say to people, and where that cannot be read from them.
pub fn texts(sources: &[Source]) -> (Texts, Vec<String>) {
    let constants = constants(sources);
    let (mut texts, mut unreadable) = (Texts::new(), Vec::new());
    for source in sources.iter().filter(|source| !source.is_of_tests()) {
        let mut walk = Walk { source, constants: &constants, texts, unreadable, functions: Vec::new() };
        walk.visit_file(&syn::parse_file(&source.text).unwrap());
        (texts, unreadable) = (walk.texts, walk.unreadable);
    }
    (texts, unreadable)
}

/// The alerts in a file of rules.
pub fn alerts(shown: &str, rules: &str) -> Texts {
    let names = rules.lines().enumerate().filter_map(|(at, line)| Some((at + 1, line.trim_start().strip_prefix("- alert: ")?)));
    names.map(|(line, name)| (("Alert", name.to_owned()), format!("{shown}:{line}"))).collect()
}
