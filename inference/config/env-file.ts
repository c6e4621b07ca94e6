/** The layer of a `.env` file. Variables in it that are not ours are left alone: other programs read the same file. */
import { parseEnv } from 'node:util';
import type { Settings } from './settings.ts';

export function envFileLayer(path: string, text: string): Settings {
  const lines = text.split(/\r?\n/);
  const placeOf = (name: string) => {
    // Of several lines the last one counts.
    const index = lines.findLastIndex(
      (line) =>
        line
          .replace(/^\s*(export\s+)?/, '')
          .split('=', 1)[0]
          ?.trim() === name,
    );
    return index < 0 ? path : `${path}, line ${index + 1}`;
  };
  return new Map(
    Object.entries(parseEnv(text)).flatMap(([name, value]) =>
      value ? [[name, { value, place: placeOf(name) }] as const] : [],
    ),
  );
}
