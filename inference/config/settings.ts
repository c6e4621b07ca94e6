/** Values of variables, with the places that they come from. */

export interface Setting {
  readonly value: string;
  /** File and line for a person; undefined for the environment. */
  readonly place?: string;
}

/** By the name of the variable. */
export type Settings = ReadonlyMap<string, Setting>;

/** What one source of settings says, and what is wrong with it. */
export interface Layer {
  readonly settings: Settings;
  /** One line each: where, what, what to do. */
  readonly problems: readonly string[];
}

/** An empty variable counts as absent. */
export function environmentLayer(env: Readonly<Record<string, string | undefined>>): Settings {
  return new Map(Object.entries(env).flatMap(([name, value]) => (value ? [[name, { value }] as const] : [])));
}

/** ` (FILE, line N)` after the name of a variable; nothing where it is set in the environment or not at all. */
export function placeOf(settings: Settings, variable: string): string {
  const place = settings.get(variable)?.place;
  return place === undefined ? '' : ` (${place})`;
}
