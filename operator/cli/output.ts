/** Objects for other programs. */
import { stringify } from 'yaml';
import { coloured, type Drawing, plain } from './text.ts';

export const STRUCTURED = ['json', 'yaml'] as const;

/** JSON or YAML; undefined for formats that are not structured. */
export function structured(format: string | undefined, value: unknown): string | undefined {
  switch (format) {
    case 'json':
      return JSON.stringify(value, null, 2);
    case 'yaml':
      // Fields that are not set are left out, as in JSON.
      return stringify(JSON.parse(JSON.stringify(value))).trimEnd();
    default:
      return undefined;
  }
}

export const drawing = (colours: boolean, now = Date.now()): Drawing => ({
  now,
  paint: colours ? coloured : plain,
});
