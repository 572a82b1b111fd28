// What is known of the file that the supervisor keeps, `supervisor/status.json`, from look to look; who looks is
// panel.tsx. The file only describes: a task whose job file has left its directory since is not shown, so that
// nothing "runs" for ever after the supervisor was stopped. No disk, no clock: what they say comes in.

import { arranged, isOf, NOTHING, parse } from './board'
import type { Board, Task, Viewer } from './board'

const LARGEST = 1024 * 1024 // bytes; the file has a tenth of that on a busy machine
const PLACE_EVERY = 20 // looks after which the place is asked for again: a setting may have moved it
const CHECK_EVERY = 7 // looks at an unchanged file after which the directories are asked

export type Following = {
  /** What is to be shown now. */
  board: Board
  /** What the file says, the latest version of it that could be read. */
  whole: Board
  spool: string
  /** Tells one version of the file from the next; '' when there is none that can be read. */
  stamp: string
  /** Looks at this version after the first. */
  unchanged: number
  looks: number
  /** What tells one drawing from the next. */
  drawn: string
  /** Tasks that are no longer where the file says. */
  gone: Set<string>
  /** Who looks, with all sessions that this client has had: /clear begins another. */
  viewer: Viewer & { readonly sessions: Set<string> }
  /** The endings that are no news; undefined before the first look at a place. */
  told: Set<string> | undefined
}

/** What the disk says of a file. */
type Stat = { readonly kind: string; readonly isLink: boolean; readonly size: number; readonly mtimeMs: number }

/** What a look found: whether there is something else to show, and this session's tasks that have ended since. */
export type Found = { readonly isChanged: boolean; readonly endings: readonly Task[] }

/** Before the first look. */
export function unread(): Following {
  return {
    board: NOTHING,
    whole: NOTHING,
    spool: '',
    stamp: 'never looked',
    unchanged: 0,
    looks: 0,
    drawn: '',
    gone: new Set(),
    viewer: { sessions: new Set(), root: '' },
    told: undefined,
  }
}

/** Whether this look asks where the spool is; counts the looks. */
export function asksForPlace(file: Following): boolean {
  file.looks += 1
  return file.looks % PLACE_EVERY === 1
}

/** Follows the file of another spool from now on, whose past endings are no news. */
export function moveTo(file: Following, spool: string): void {
  if (spool === file.spool) return
  file.spool = spool
  file.told = undefined
}

/** The path of the file. */
export function pathOf(file: Following): string {
  return `${file.spool}/supervisor/status.json`
}

/** The version that `stat` describes; '' for what is not to be read. Counts the looks at the known one. */
export function versionOf(file: Following, stat: Stat | undefined): string {
  file.unchanged += 1
  const fits = stat !== undefined && stat.kind === 'file' && !stat.isLink && stat.size <= LARGEST
  return fits ? `${file.spool} ${stat.mtimeMs} ${stat.size}` : ''
}

/** Takes in another version, as session `session` sees it that works in `root`. */
export function take(file: Following, version: string, text: string, session: string, root: string): void {
  file.stamp = version
  file.unchanged = 0
  file.gone = new Set()
  file.whole = parse(text)
  file.viewer = { sessions: file.viewer.sessions.add(session), root }
}

/** The tasks to look after in their directories: all that live, when nobody has written the file for a while. */
export function doubtful(file: Following): readonly Task[] {
  return file.unchanged % CHECK_EVERY === CHECK_EVERY - 1 ? [...file.whole.running, ...file.whole.waiting] : []
}

/** Brings the board up to date at `now`, the end of a look. */
export function arrange(file: Following, now: number): Found {
  file.board = arranged(file.whole, file.viewer, file.gone, now)
  const drawn = drawing(file, now)
  const isChanged = drawn !== file.drawn
  file.drawn = drawn
  return { isChanged, endings: news(file) }
}

/** Relative times are in minutes, so a new minute is another drawing, but for an empty board. */
function drawing(file: Following, now: number): string {
  const shown = [...file.board.running, ...file.board.waiting, ...file.board.ended].map(one => one.id)
  return shown.length === 0 ? '' : [file.stamp, Math.floor(now / 60_000), ...shown].join(' ')
}

/** The endings of the viewer's tasks that the looks before did not see; those of the first look are no news. */
function news(file: Following): Task[] {
  const key = (one: Task): string => `${one.id} ${one.endedAt}`
  const { told, viewer } = file
  file.told = new Set([...(told ?? []), ...file.whole.ended.map(key)])
  return told === undefined ? [] : file.board.ended.filter(one => isOf(one, viewer) && !told.has(key(one)))
}
