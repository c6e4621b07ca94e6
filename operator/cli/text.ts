/** Text for a terminal: tables, colours, and how ages, sizes and digests are written. Pure. */
import { stripVTControlCharacters, styleText } from 'node:util';

export type Style = 'good' | 'bad' | 'warning' | 'busy' | 'dim' | 'bold';
export type Paint = (style: Style, text: string) => string;

const FORMATS = {
  good: 'green',
  bad: 'red',
  warning: 'yellow',
  busy: 'cyan',
  dim: 'dim',
  bold: 'bold',
} as const;

export const plain: Paint = (_style, text) => text;
/** Whether there is somebody to see colours is decided by the caller. */
export const coloured: Paint = (style, text) => styleText(FORMATS[style], text, { validateStream: false });

/** How a page is drawn: its time, ms since the epoch, and its colours. */
export interface Drawing {
  readonly now: number;
  readonly paint: Paint;
}

/**
 * What pods, packages and clusters say may hold characters that move the cursor or write to the clipboard: they are replaced.
 * Colours stay.
 */
export const printable = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequence of colours is one
  text.replace(/(\u001b\[[0-9;]*m)|\p{Cc}/gu, (_, colour: string | undefined) => colour ?? '\ufffd');

const GAP = '   ';
const widthOf = (cell: string) => stripVTControlCharacters(cell).length;

/** Left-aligned columns, as wide as their widest cell, of printable text. */
export function table(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
    }
  }
  const pad = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return rows.map((row) => row.map(pad).join(GAP).trimEnd()).join('\n');
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The largest unit of which there are at least two, as kubectl does it; `-` where the time is not known. */
export function age(since: string | undefined, now: number): string {
  if (since === undefined) return '-';
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  if (seconds < 2 * HOUR) return `${Math.floor(seconds / MINUTE)}m`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)}h`;
  return `${Math.floor(seconds / DAY)}d`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function size(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power > 0 && value < 100 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}

/** Enough of a digest to tell it from others. */
export const shortDigest = (digest: string) => digest.slice(0, 'sha256:'.length + 12);

/** One printable line, whatever the text. */
export const oneLine = (text: string) => printable(text.trim().replace(/\s*\n\s*|\t/g, ' '));
