// The board in words: the lines of the band, of the pane, of the status line and of a toast. Pure.

import type { Board, Step, Task } from './board'

export type Line = { readonly text: string; readonly look?: 'heading' | 'dim' }

const BAND = 5 // rows that the band takes at most
const MARKS: Readonly<Record<string, string>> = { succeeded: '✅', cancelled: '⏹', timed_out: '⏱' }
const STEPS: Readonly<Record<Step['state'], string>> = { done: '✅', doing: '⏳', todo: '⏸' }
const ENDINGS: Readonly<Record<string, string>> = {
  succeeded: 'completed',
  timed_out: 'ran out of time',
  cancelled: 'was cancelled',
  lost: 'was lost',
  denied: 'was denied a permission that it needed',
  dependency_failed: 'did not start',
}

/** What runs, in at most `rows` lines of `columns` cells, never more than five lines; none when nothing runs. */
export function band(board: Board, rows: number, columns: number): Line[] {
  const room = Math.min(BAND, Math.max(1, rows))
  const tasks = board.running
  if (tasks.length === 0) return []
  if (board.runningCount * 2 <= room) return tasks.flatMap(one => [titleOf(one, columns), ...stepNow(one)])
  const shown = board.runningCount <= room ? tasks : tasks.slice(0, room - 1)
  const more = board.runningCount - shown.length
  const lines = shown.map(one => brief(one, columns))
  return more === 0 ? lines : [...lines, { text: `… ${more} more: /smart-agents:panel`, look: 'dim' }]
}

/** Everything on the board under a heading for each state, with all steps and reasons. */
export function pane(board: Board, now: number): Line[] {
  const { running, waiting, ended } = board
  if (running.length + waiting.length + ended.length === 0) {
    return [{ text: 'No background tasks. /smart-agents:bg WHAT TO DO starts one.', look: 'dim' }]
  }
  const age = now - board.writtenAt
  return [
    ...section('Running', board.runningCount, running, one => [titleOf(one), ...details(one, age)]),
    ...section('Waiting', board.waitingCount, waiting, one => [
      { text: `⏸ ${named(one)}` },
      ...(one.waitsFor === '' ? [] : [under(`waits for ${one.waitsFor}`)]),
    ]),
    ...section('Ended', ended.length, ended, one => [
      { text: `${MARKS[one.outcome] ?? '❌'} ${named(one)}` },
      under(`${ENDINGS[one.outcome] ?? 'failed'} ${ago(now - (one.endedAt ?? now))} · /smart-agents:result ${one.id}`),
    ]),
  ]
}

/** How much runs and waits; undefined when nothing does. */
export function status(board: Board): string | undefined {
  const parts = [
    ...(board.runningCount > 0 ? [`${board.runningCount} running`] : []),
    ...(board.waitingCount > 0 ? [`${board.waitingCount} waiting`] : []),
  ]
  return parts.length > 0 ? `⏳ ${parts.join(' · ')}` : undefined
}

/** How a task ended. */
export function toast(one: Task): string {
  const how = `${MARKS[one.outcome] ?? '❌'} “${one.description}” ${ENDINGS[one.outcome] ?? 'failed'}`
  return `${how} · /smart-agents:result ${one.id}`
}

function section(heading: string, count: number, tasks: readonly Task[], drawn: (one: Task) => Line[]): Line[] {
  if (tasks.length === 0) return []
  const more = count - tasks.length
  return [
    { text: `${heading} (${count})`, look: 'heading' },
    ...tasks.flatMap(drawn),
    ...(more > 0 ? [{ text: `… ${more} more: sa-spool list`, look: 'dim' } as const] : []),
  ]
}

function named(one: Task): string {
  return one.description === '' ? one.id : `${one.id}: ${one.description}`
}

/** A task that runs; where that takes more than `columns` cells its description is cut, and the percent stays. */
function titleOf(one: Task, columns = Infinity): Line {
  const mark = one.suspended === null ? '🔄 ' : '⏸ '
  const percent = one.percent === null ? '' : ` (${one.percent}%)`
  return { text: `${mark}${cut(named(one), columns - cells(mark) - cells(percent))}${percent}` }
}

function cut(text: string, columns: number): string {
  if (cells(text) <= columns) return text
  let kept = ''
  for (const letter of text) {
    if (cells(kept + letter) >= columns) break
    kept += letter
  }
  return `${kept.trimEnd()}…`
}

/** How wide a text is at most: letters from Hangul on, the marks among them, may take two cells. */
function cells(text: string): number {
  return Array.from(text).reduce((sum, letter) => sum + ((letter.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1), 0)
}

/** A task on a single line, with what it does now. */
function brief(one: Task, columns: number): Line {
  const now = one.suspended === null ? (doing(one)?.name ?? one.step) : `suspended: ${one.suspended}`
  return { text: now === '' ? titleOf(one, columns).text : `${titleOf(one, columns - 3).text} · ${now}` }
}

function stepNow(one: Task): Line[] {
  if (one.suspended !== null) return [under(`suspended: ${one.suspended}`)]
  const at = one.steps.findIndex(step => step.state === 'doing')
  const step = one.steps[at]
  if (step !== undefined) return [under(numbered(step, at))]
  return one.step === '' ? [] : [under(one.step)]
}

function doing(one: Task): Step | undefined {
  return one.steps.find(step => step.state === 'doing')
}

function details(one: Task, age: number): Line[] {
  const facts = [
    ...one.steps.map((step, at) => numbered(step, at)),
    ...(one.suspended === null ? [] : [`suspended: ${one.suspended}`]),
    // The step in words beside a list of steps is the tool that is being used.
    ...(one.step === '' || one.step === doing(one)?.name ? [] : [`Now: ${one.step}`]),
    ...(one.suspended === null ? left(one.remaining, age) : []),
  ]
  return facts.map((text, at) => under(text, at === facts.length - 1))
}

function numbered(step: Step, at: number): string {
  return `Step ${at + 1}: ${step.name} ${STEPS[step.state]}`
}

function under(text: string, isLast = true): Line {
  return { text: `   ${isLast ? '└─' : '├─'} ${text}`, look: 'dim' }
}

/** How long it takes yet, from what was expected `age` milliseconds ago; nothing once that has passed. */
function left(range: Task['remaining'], age: number): string[] {
  if (range === null) return []
  const [low, high] = range.map(seconds => Math.max(0, seconds - age / 1000)) as [number, number]
  if (high <= 0) return []
  const [size, unit] = high < 90 ? [1, 's'] : high < 5400 ? [60, 'min'] : [3600, 'h']
  const [from, to] = [Math.floor(low / size), Math.ceil(high / size)]
  return [`About ${from === 0 || from === to ? `${to} ${unit} at most` : `${from}–${to} ${unit}`} left`]
}

function ago(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  return minutes < 1 ? 'just now' : `${minutes}m ago`
}
