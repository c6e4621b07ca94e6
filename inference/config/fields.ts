/** Kinds of values that several variables have. */
import { isIPv4 } from 'node:net';
import { z } from 'zod';

/** What is wrong with the value of a variable. */
export interface Problem {
  readonly variable: string;
  readonly message: string;
}

export const count = (fallback: number, min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);

/** A comma-separated list or a JSON array; empty items are dropped. */
export const list = z.string().transform((text, context) => {
  const items = text.trim().startsWith('[') ? jsonList(text) : text.split(',').map((item) => item.trim());
  if (items !== undefined) return items.filter((item) => item !== '');
  context.addIssue({
    code: 'custom',
    message: 'is neither a comma-separated list nor a JSON array of strings',
  });
  return z.NEVER;
});

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function jsonList(text: string): string[] | undefined {
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
