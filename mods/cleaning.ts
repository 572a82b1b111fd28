// Text of agents made harmless before it is drawn: `line` answers as `quoting.line` of the Python package does.
// A test holds the two to each other. Pure.

/** Escape sequences, control sequences and control strings, as ECMA-48 spells them. */
const ESCAPES = new RegExp(
  [
    '(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d\\x9e\\x9f])[^\\n\\x07\\x9c\\x1b]*(?:[\\x07\\x9c]|\\x1b[\\s\\S]?|(?=\\n)|$)',
    '(?:\\x1b\\[|\\x9b)[ -?]*[@-~]?',
    '\\x1b[ -/]*[0-~]?',
  ].join('|'),
  'gu',
)
const NEW_LINES = /[\r\v\f\x85\u2028\u2029]/gu
/** Controls, halves of a surrogate pair, and what shows one thing and says another. */
const HIDDEN = new RegExp(
  '[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u3164\\ufeff\\uffa0' +
    '\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufe00-\\ufe0d\\ufff9-\\ufffb\\ud800-\\udfff' +
    '\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]',
  'gu',
)

/** `text` cleaned, on one line, of at most `limit` characters; '' for what is no text. */
export function line(text: unknown, limit: number): string {
  if (typeof text !== 'string') return ''
  const part = Array.from(text.slice(0, limit * 16)).slice(0, limit * 8).join('')
  const visible = part.replace(ESCAPES, '').replace(NEW_LINES, '\n').replace(HIDDEN, '')
  const letters = Array.from(visible.replace(/\s+/gu, ' ').trim())
  return letters.length <= limit ? letters.join('') : `${letters.slice(0, limit - 1).join('').trimEnd()}…`
}
