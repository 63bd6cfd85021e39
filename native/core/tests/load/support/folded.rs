//! The folded form of `try`, which the text parser no longer takes, as the flat form, which it
//! does: `(try $l (do ..) (catch $t ..))` becomes `try $l .. catch $t .. end`.

enum Node {
    Token(String),
    List(Vec<Node>),
}

pub fn unfold(source: &str) -> String {
    let mut rest = source;
    let nodes = parse(&mut rest);
    let mut out = String::new();
    print_all(&nodes, &mut out);
    out
}

fn parse(rest: &mut &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    loop {
        *rest = rest.trim_start();
        if rest.is_empty() {
            return nodes;
        } else if let Some(after) = rest.strip_prefix(";;") {
            *rest = after.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(after) = rest.strip_prefix("(;") {
            *rest = after.split_once(";)").expect("a closed comment").1;
        } else if let Some(after) = rest.strip_prefix('(') {
            *rest = after;
            nodes.push(Node::List(parse(rest)));
        } else if let Some(after) = rest.strip_prefix(')') {
            *rest = after;
            return nodes;
        } else {
            let (token, after) = rest.split_at(token_len(rest));
            nodes.push(Node::Token(token.to_owned()));
            *rest = after;
        }
    }
}

fn token_len(rest: &str) -> usize {
    if !rest.starts_with('"') {
        let end = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';');
        return rest.find(end).unwrap_or(rest.len());
    }
    let mut escaped = false;
    let closing = rest.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    closing.expect("a closed string").0 + 1
}

fn print_all(nodes: &[Node], out: &mut String) {
    for node in nodes {
        match node {
            Node::Token(token) => print_token(token, out),
            Node::List(list) if is_folded_try(list) => print_try(&list[1..], out),
            Node::List(list) if keyword(list) == Some("module") => print_module(list, out),
            Node::List(list) => print_list(list, out),
        }
    }
}

fn print_token(token: &str, out: &mut String) {
    out.push_str(token);
    out.push(' ');
}

fn print_list(list: &[Node], out: &mut String) {
    out.push('(');
    print_all(list, out);
    out.push_str(")\n");
}

/// The strings of a quoted module are source text themselves.
fn print_module(list: &[Node], out: &mut String) {
    let quote = |node: &Node| matches!(node, Node::Token(token) if token == "quote");
    let Some(at) = list.iter().position(quote) else {
        return print_list(list, out);
    };
    let mut text = String::new();
    for node in &list[at + 1..] {
        if let Node::Token(token) = node {
            text.push_str(&token[1..token.len() - 1].replace("\\\"", "\""));
            text.push(' ');
        }
    }
    let text = unfold(&text).replace('"', "\\\"").replace('\n', " ");
    out.push('(');
    print_all(&list[..=at], out);
    out.push_str(&format!("\"{text}\")\n"));
}

fn keyword(list: &[Node]) -> Option<&str> {
    match list.first() {
        Some(Node::Token(token)) => Some(token),
        _ => None,
    }
}

fn is_folded_try(list: &[Node]) -> bool {
    let is_do = |node: &Node| matches!(node, Node::List(list) if keyword(list) == Some("do"));
    keyword(list) == Some("try") && list.iter().any(is_do)
}

fn print_try(parts: &[Node], out: &mut String) {
    print_token("try", out);
    let mut delegates = false;
    for part in parts {
        match part {
            Node::List(list) => match keyword(list) {
                Some("do") => print_all(&list[1..], out),
                Some("catch" | "catch_all") => print_all(list, out),
                Some("delegate") => {
                    delegates = true;
                    print_all(list, out);
                }
                _ => print_list(list, out),
            },
            Node::Token(token) => print_token(token, out),
        }
    }
    if !delegates {
        print_token("end", out);
    }
}
