//! The sources of this repository, as a compiler reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Block, Ident, Signature, UseTree};

/// One file, as far as it is built into the program.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// What is defined in it: structs, enums, traits and types.
    pub types: Vec<String>,
    /// Every path that begins at this crate, as far as it is written, with its line.
    pub paths: Vec<(Vec<String>, usize)>,
    /// What `use` brings in by its own name, with its line: paths as they are written.
    pub imports: Vec<(Vec<String>, usize)>,
    /// Functions and the number of their lines, those of tests included.
    pub functions: Vec<(String, usize)>,
}

impl Source {
    /// Reads a text as the file at `path`.
    pub fn parse(path: PathBuf, text: String) -> Self {
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut source = Self { path, text, types: vec![], paths: vec![], imports: vec![], functions: vec![] };
        Walk { source: &mut source, in_tests: 0 }.visit_file(&file);
        source
    }

    /// The module in `src` that the file belongs to: `["tell", "child", "owner"]`.
    pub fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix(root().join("src")).unwrap_or(&self.path).with_extension("");
        let names = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        names.filter(|name| !matches!(name.as_str(), "mod" | "lib")).collect()
    }

    /// Whether only tests are built of it.
    pub fn is_of_tests(&self) -> bool {
        let shown = self.shown();
        ["_tests.rs", "/tests.rs", "/stub.rs", "config/docs.rs"].iter().any(|end| shown.ends_with(end))
            || ["_tests/", "/tests/"].iter().any(|part| shown.contains(part))
    }

    /// How messages call it.
    pub fn shown(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }
}

/// Where this repository is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below these folders.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false if entry.extension().is_some_and(|extension| extension == "rs") => {
                    let text = std::fs::read_to_string(&entry).unwrap();
                    found.push(Source::parse(entry, text));
                }
                false => {}
            }
        }
    }
    assert!(!found.is_empty(), "no sources");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

struct Walk<'a> {
    source: &'a mut Source,
    /// How many of the items that we are in are for tests only.
    in_tests: usize,
}

/// Whether these say that only tests are built of what they stand at.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg") && attribute.parse_args::<Ident>().is_ok_and(|name| name == "test"))
}

/// What stands at an item.
pub fn attributes_of(item: &syn::Item) -> &[Attribute] {
    use syn::Item::{Const, Enum, Fn, Impl, Mod, Static, Struct, Trait, Type, Use};
    match item {
        Const(syn::ItemConst { attrs, .. })
        | Enum(syn::ItemEnum { attrs, .. })
        | Fn(syn::ItemFn { attrs, .. })
        | Impl(syn::ItemImpl { attrs, .. })
        | Mod(syn::ItemMod { attrs, .. })
        | Static(syn::ItemStatic { attrs, .. })
        | Struct(syn::ItemStruct { attrs, .. })
        | Trait(syn::ItemTrait { attrs, .. })
        | Type(syn::ItemType { attrs, .. })
        | Use(syn::ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}

impl Walk<'_> {
    fn define(&mut self, name: &Ident) {
        if self.in_tests == 0 {
            self.source.types.push(name.to_string());
        }
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        let lines = block.brace_token.span.close().start().line + 1 - signature.fn_token.span.start().line;
        self.source.functions.push((signature.ident.to_string(), lines));
    }

    fn brought_in(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.brought_in(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.brought_in(tree, before)),
            UseTree::Name(name) => self.import(before, &name.ident, true),
            UseTree::Rename(name) => self.import(before, &name.ident, false),
            UseTree::Glob(glob) => self.import(before, &Ident::new("everything", glob.star_token.spans[0]), false),
        }
    }

    fn import(&mut self, before: &[String], name: &Ident, by_its_name: bool) {
        let path: Vec<_> = before.iter().cloned().chain([name.to_string()]).filter(|part| part != "self").collect();
        let line = name.span().start().line;
        self.note(&path, line);
        if by_its_name && self.in_tests == 0 && name != "self" {
            self.source.imports.push((path, line));
        }
    }

    fn note(&mut self, path: &[String], line: usize) {
        if self.in_tests == 0 && path.first().is_some_and(|first| first == "crate" || first == "kube_projector") {
            self.source.paths.push((path.to_vec(), line));
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let for_tests = usize::from(is_for_tests(attributes_of(item)));
        self.in_tests += for_tests;
        match item {
            syn::Item::Struct(item) => self.define(&item.ident),
            syn::Item::Enum(item) => self.define(&item.ident),
            syn::Item::Trait(item) => self.define(&item.ident),
            syn::Item::Type(item) => self.define(&item.ident),
            syn::Item::Fn(item) => self.function(&item.sig, &item.block),
            syn::Item::Use(item) => self.brought_in(&item.tree, &mut Vec::new()),
            _ => {}
        }
        visit::visit_item(self, item);
        self.in_tests -= for_tests;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let for_tests = usize::from(is_for_tests(&item.attrs));
        self.in_tests += for_tests;
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
        self.in_tests -= for_tests;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&names, path.segments[0].ident.span().start().line);
        visit::visit_path(self, path);
    }
}

/// Names that more than one module of these gives to a type.
pub fn doubled(sources: &[Source]) -> BTreeSet<&str> {
    let (mut known, mut doubled) = (BTreeSet::new(), BTreeSet::new());
    for name in sources.iter().filter(|source| !source.is_of_tests()).flat_map(|source| &source.types) {
        if !known.insert(name.as_str()) {
            doubled.insert(name.as_str());
        }
    }
    doubled
}
