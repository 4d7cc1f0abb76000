"""Text that breaks things elsewhere."""

NAUGHTY = [
    "undefined", "null", "NaN", "true", "1e1000", "0x1F", "-0", "../../etc/passwd", "C:\\CON", "%00", "%s%n%x",
    "' OR 1=1 --", "'; DROP TABLE calls; --", "<script>alert(1)</script>", "${jndi:ldap://127.0.0.1/a}", "{{ 7*7 }}",
    "$(touch x)", "`id`", "__proto__", "constructor", "=1+1", "@SUM(1)", "https://a:b@127.0.0.1/?q=#f",
    "Ω≈ç√∫˜µ≤≥÷", "田中さん", "사회과학원", "الكتاب", "בְּרֵאשִׁית", "ÅÍÎÏ˝ÓÔ", "Ṱ̺̺o͞ ̷i̲̬n̝̗v̟̜o̘̙k", "👩🏽‍🚀", "🇩🇪🇫🇷",
    "\u202etset\u202c", "\u200b\u200d\ufeff", "\u2028\u2029", "\ufffe\uffff", "\U000e0041", "\u00a0", "\t", "\n", "\r\n", "\x00",
    "\x1b[2J", "\x7f", "\x85", "\ud83d", "ﬀ", "ﷺ", "İı", "a" * 10_000, "\u0301" * 400, "' \" \\' \\\"",
]  # fmt: skip
