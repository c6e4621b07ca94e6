/** The configuration as it is in effect, for a person who wonders where a value comes from. */
import { keyOf } from './keys.ts';
import type { Settings } from './settings.ts';
import { type Variable, variables } from './variables.ts';

/** A valid `config.yaml` of every variable, each with the place of its value behind it. Secrets are masked. */
export function effectiveConfig(settings: Settings): string {
  return variables.map((variable) => `${effectiveLine(variable, settings)}\n`).join('');
}

function effectiveLine({ name, fallback, isSecret }: Variable, settings: Settings): string {
  const setting = settings.get(name);
  const value = setting === undefined ? fallback : isSecret ? '(secret)' : setting.value;
  const place = setting?.place ?? (setting === undefined ? 'default' : 'environment');
  // A JSON string is a YAML scalar.
  return `${keyOf(name)}: ${JSON.stringify(value ?? null)} # ${place}`;
}
