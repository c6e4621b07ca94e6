/** Which models a request asks for: `model`, or `models` for several, in a form, in JSON or in the query. */
import { z } from 'zod';
import { serviceError } from '../errors.ts';
import { maxMembers } from '../pipelines/fusion/ensemble.ts';
import type { Wanted } from '../pipelines/fusion/selection.ts';
import { optionalText } from './form-media.ts';

const names = z.array(z.string().trim().min(1).max(200)).min(1).max(maxMembers);

/** `a,b`, a JSON array, or the word that means all. An empty text counts as absent. */
const listText = z.string().transform((text, context): string[] | 'all' | undefined => {
  if (text.trim() === '') return undefined;
  if (isAll(text)) return 'all';
  const parsed = names.safeParse(itemsOf(text));
  if (parsed.success) return parsed.data;
  context.addIssue({
    code: 'custom',
    message: `is neither "all" nor a list of 1 to ${maxMembers} names, as a,b or ["a","b"]`,
  });
  return z.NEVER;
});

const description =
  'Serving names of several models, `a,b` or a JSON array, for one fused verdict; the name of an ensemble; or `all` (`auto`): every model that fits the media. In place of `model`.';

export const modelsField = listText.optional().describe(description);

export const modelsMember = z
  .union([names, listText], { error: `is neither "all" nor a list of 1 to ${maxMembers} names` })
  .transform((value) => (value?.length === 1 && isAll(value[0]) ? ('all' as const) : value))
  .optional()
  .describe(description);

export const selectionQuery = z.object({
  model: optionalText.describe('As in the body.'),
  models: modelsMember,
});

/**
 * What the body asks for, or the query. Both at once, or `model` beside `models`, contradict each other.
 * @throws ServiceError invalid_request
 */
export function wantedOf(body: Wanted, query: Wanted): Wanted {
  const asked = [body, query].flatMap(({ model, models }): Wanted[] => [
    ...(model === undefined ? [] : [{ model }]),
    ...(models === undefined ? [] : [{ models }]),
  ]);
  if (asked.length > 1)
    throw serviceError('invalid_request', {
      reason: 'give model or models, and once: in the body or in the query',
    });
  return asked[0] ?? {};
}

function isAll(text: string | undefined): boolean {
  return ['all', 'auto'].includes((text ?? '').trim().toLowerCase());
}

function itemsOf(text: string): unknown {
  if (!text.trim().startsWith('[')) return text.split(',');
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
