# ThreadSanitizer's log to one line for each report that is of our crates: for each access the first
# frame in their sources. A report is passed over if a thread that made one of the accesses had ended
# by then: what came after it is ordered by joining it, which the standard library does unseen.
/^WARNING: ThreadSanitizer:/ { nr = 0; access = 0; split("", frame); split("", by); split("", ended) }
/^  [A-Za-z]/ { access = 0 }
/^  (Previous )?(atomic )?(read|write) of size /||/^  (Read|Write|Atomic|Previous) .*of size / {
  frame[++nr] = "-"
  by[nr] = match($0, /by thread T[0-9]+/) ? substr($0, RSTART + 10, RLENGTH - 10) : "main"
  access = 1
}
/^  Thread T[0-9]+ .*finished\)/ { ended[$2] = 1 }
access && frame[nr] == "-" && match($0, /\/crates\/[^ ]*\/src\/[^ ]*:[0-9]+/) {
  frame[nr] = substr($0, RSTART + 1, RLENGTH - 1)
}
/^SUMMARY: ThreadSanitizer:/ {
  ours = 0; over = 0; line = ""
  for (i = 1; i <= nr; i++) {
    ours = ours || frame[i] != "-"
    over = over || (by[i] in ended)
    line = line (i > 1 ? " against " : "") frame[i]
  }
  if (ours && !over) print line
}
