// Where the spool is, found as every other way in finds it (`settings.py`), but for the settings file itself: what
// that decides stands in the file `place` beside it since the session's first hook. Pure.

/** The variables that decide it; the client only lets us read what we name. */
export type Surroundings = Readonly<
  Record<
    'SA_SPOOL_DIR' | 'SA_CONFIG' | 'SA_DISABLE' | 'SA_TASK_ID' | 'HOME' | 'XDG_CONFIG_HOME' | 'XDG_STATE_HOME',
    string | undefined
  >
>

/** Whether nothing is to be shown: the plugin is switched off, or this client is an agent of ours. */
export function isHidden(env: Surroundings): boolean {
  const said = `${env.SA_TASK_ID ?? ''}${env.SA_DISABLE ?? ''}`
  return said !== '' && said !== '0'
}

/** The file that records the place, which need not exist. */
export function placeFile(env: Surroundings): string {
  if (env.SA_CONFIG) return `${env.SA_CONFIG.slice(0, env.SA_CONFIG.lastIndexOf('/') + 1)}place`
  return `${base(env.XDG_CONFIG_HOME, env.HOME, '.config')}/smart-agents/place`
}

/** The spool, when the file of the place holds `recorded`. */
export function spoolOf(env: Surroundings, recorded: string): string {
  if (env.SA_SPOOL_DIR) return env.SA_SPOOL_DIR
  const [place = ''] = recorded.split('\n', 1)
  return place.startsWith('/') ? place : `${base(env.XDG_STATE_HOME, env.HOME, '.local/state')}/smart-agents/spool`
}

function base(named: string | undefined, home: string | undefined, under: string): string {
  return named?.startsWith('/') ? named.replace(/\/+$/u, '') : `${home ?? ''}/${under}`
}
