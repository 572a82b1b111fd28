// Where the spool is, found as every other way in finds it (`settings.py`), but for the settings file itself: what
// that decides stands in the file `place` beside it since the session's first hook.

import type { EngineInterface } from 'claude-code'

/** The path of the file that the supervisor keeps, which need not exist. */
export async function statusFile($: EngineInterface): Promise<string> {
  return `${await spool($)}/supervisor/status.json`
}

/** Whether nothing is to be shown: the plugin is switched off, or this client is an agent of ours. */
export async function isHidden($: EngineInterface): Promise<boolean> {
  const said = `${(await $.env.get('SA_TASK_ID')) ?? ''}${(await $.env.get('SA_DISABLE')) ?? ''}`
  return said !== '' && said !== '0'
}

async function spool($: EngineInterface): Promise<string> {
  const named = await $.env.get('SA_SPOOL_DIR')
  if (named) return named
  const recorded = await $.fs.read(await placeFile($)).catch(() => '')
  const [place = ''] = recorded.split('\n', 1)
  if (place.startsWith('/')) return place
  return `${base(await $.env.get('XDG_STATE_HOME'), await $.env.get('HOME'), '.local/state')}/smart-agents/spool`
}

async function placeFile($: EngineInterface): Promise<string> {
  const config = await $.env.get('SA_CONFIG')
  if (config) return `${config.slice(0, config.lastIndexOf('/') + 1)}place`
  return `${base(await $.env.get('XDG_CONFIG_HOME'), await $.env.get('HOME'), '.config')}/smart-agents/place`
}

function base(named: string | undefined, home: string | undefined, under: string): string {
  return named?.startsWith('/') ? named.replace(/\/+$/u, '') : `${home ?? ''}/${under}`
}
