// Masks as runs of equal ids: a mask is mostly runs, so a long video's masks take little room.

/** Labels as alternating ids and run lengths. */
export function encoded(labels) {
  const runs = [];
  for (let i = 0; i < labels.length; ) {
    let end = i + 1;
    while (end < labels.length && labels[end] === labels[i]) end++;
    runs.push(labels[i], end - i);
    i = end;
  }
  return Uint32Array.from(runs);
}

/** What `encoded` was given, `length` labels. */
export function decoded(runs, length) {
  const labels = new Uint8Array(length);
  for (let k = 0, at = 0; k < runs.length; k += 2) {
    labels.fill(runs[k], at, at + runs[k + 1]);
    at += runs[k + 1];
  }
  return labels;
}
