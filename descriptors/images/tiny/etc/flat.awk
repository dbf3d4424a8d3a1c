# Turns the YAML that seeds are written in (block and flow maps and lists, quoted and literal scalars;
# JSON is a part of it) into lines "path/to/0/key=value". Newlines in a value become the characters \n,
# a backslash \\. Anchors, tags and multi-line plain scalars are left out: no seed writer makes them.

function emit(path, v) {
    gsub(/\\/, "\\\\\\\\", v); gsub(/\n/, "\\\\n", v)
    print path "=" v
}
function join(base, key) { return base == "" ? key : base "/" key }

# unquote: the text of a scalar that may be in single or double quotes.
function unquote(s,    q, o, c, i) {
    q = substr(s, 1, 1)
    if (q == "'") { s = substr(s, 2, length(s) - 2); gsub(/''/, "'", s); return s }
    if (q != "\"") return s
    o = ""
    for (i = 2; i < length(s); i++) {
        c = substr(s, i, 1)
        if (c == "\\") { c = substr(s, ++i, 1); c = c == "n" ? "\n" : c == "t" ? "\t" : c }
        o = o c
    }
    return o
}

# quoted_end: where the quoted text that starts at position p of s ends.
function quoted_end(s, p,    q, c) {
    q = substr(s, p, 1)
    for (p++; p <= length(s); p++) {
        c = substr(s, p, 1)
        if (c == "\\" && q == "\"") p++
        else if (c == q) { if (q == "'" && substr(s, p + 1, 1) == "'") p++; else return p }
    }
    return length(s)
}

# bare: a line without its trailing comment.
function bare(s,    p, c) {
    for (p = 1; p <= length(s); p++) {
        c = substr(s, p, 1)
        if ((c == "\"" || c == "'") && (p == 1 || substr(s, p - 1, 1) ~ /[ [{,:]/)) p = quoted_end(s, p)
        else if (c == "#" && (p == 1 || substr(s, p - 1, 1) == " ")) { s = substr(s, 1, p - 1); break }
    }
    sub(/[ \t]+$/, "", s)
    return s
}

# colon: where the key of "key: value" ends, 0 where the text is no map entry.
function colon(s,    p) {
    p = 0
    if (s ~ /^["']/) p = quoted_end(s, 1)
    for (p++; p <= length(s); p++) if (substr(s, p, 1) == ":" && substr(s, p + 1, 1) ~ /^[ ]?$/) return p
    return 0
}

function open_brackets(s,    p, c, n) {
    n = 0
    for (p = 1; p <= length(s); p++) {
        c = substr(s, p, 1)
        if (c == "\"" || c == "'") p = quoted_end(s, p)
        else if (c == "[" || c == "{") n++
        else if (c == "]" || c == "}") n--
    }
    return n
}

function blanks() { while (substr(F, P, 1) ~ /^[ \t\n]$/) P++ }
# token: a flow scalar or key up to one of the characters in stop.
function token(stop,    e, s) {
    blanks()
    if (substr(F, P, 1) ~ /^["']$/) { e = quoted_end(F, P); s = unquote(substr(F, P, e - P + 1)); P = e + 1; return s }
    for (e = P; e <= length(F) && index(stop, substr(F, e, 1)) == 0; e++);
    s = substr(F, P, e - P); P = e
    sub(/[ \t\n]+$/, "", s)
    return s
}
function flow(path,    c, i, k, any) {
    blanks(); c = substr(F, P, 1); i = 0; any = 0
    if (c != "{" && c != "[") { emit(path, token(",]}")); return }
    P++
    while (P <= length(F)) {
        blanks()
        if (substr(F, P, 1) ~ /^[]}]$/) { P++; break }
        if (substr(F, P, 1) == ",") { P++; continue }
        any = 1
        if (c == "[") flow(join(path, i++))
        else { k = token(":"); blanks(); P++; flow(join(path, k)) }
    }
    if (!any) emit(path, "")
}

function value(path, v, col) {
    if (v == "") { pending = path; return }
    if (v ~ /^[|>][-+0-9]*$/) { lit = 1; lit_path = path; lit_col = col; lit_kind = v; lit_text = ""; lit_strip = -1; return }
    if (v ~ /^[[{]/) {
        while (open_brackets(v) > 0 && at < lines) v = v "\n" bare(line[++at])
        F = v; P = 1; flow(path); return
    }
    emit(path, unquote(v))
}
function literal_end() {
    lit = 0
    sub(/\n+$/, "", lit_text)
    if (substr(lit_kind, 1, 1) == ">") gsub(/\n/, " ", lit_text)
    if (lit_kind !~ /-/) lit_text = lit_text "\n"
    emit(lit_path, lit_text)
}
function push(col, base, kind) { top++; t_col[top] = col; t_base[top] = base; t_kind[top] = kind; t_next[top] = 0 }
function entry(s, col,    c, rest, item, k) {
    while (top && t_col[top] > col) top--
    if (s ~ /^-( |$)/) {
        if (!(top && t_col[top] == col && t_kind[top] == "s")) push(col, pending, "s")
        item = join(t_base[top], t_next[top]++)
        rest = substr(s, 2); c = 1
        while (substr(rest, 1, 1) == " ") { rest = substr(rest, 2); c++ }
        if (rest == "") { pending = item; return }
        if (rest ~ /^- / || (rest !~ /^[[{|>]/ && colon(rest))) { pending = item; entry(rest, col + c) }
        else value(item, rest, col)
        return
    }
    while (top && t_col[top] == col && t_kind[top] == "s") top--
    c = colon(s)
    if (!c) { if (s ~ /^[[{]/) value(pending, s, col); return }
    if (!(top && t_col[top] == col)) push(col, pending, "m")
    k = unquote(substr(s, 1, c - 1)); rest = substr(s, c + 1)
    sub(/^ +/, "", rest)
    value(join(t_base[top], k), rest, col)
}

{ sub(/\r$/, ""); line[++lines] = $0 }
END {
    top = 0; pending = ""; lit = 0
    for (at = 1; at <= lines; at++) {
        s = line[at]
        match(s, /^ */); col = RLENGTH
        if (lit) {
            if (s ~ /^ *$/) { lit_text = lit_text "\n"; continue }
            if (lit_strip < 0 && col > lit_col) lit_strip = col
            if (lit_strip >= 0 && col >= lit_strip) { lit_text = lit_text substr(s, lit_strip + 1) "\n"; continue }
            literal_end()
        }
        s = bare(substr(s, col + 1))
        if (s == "" || s == "---" || s == "...") continue
        entry(s, col)
    }
    if (lit) literal_end()
}
