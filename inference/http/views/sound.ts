/** What an answer says of sound, under the names by which clients of sound models know it. */
import { z } from 'zod';
import type { Analysis } from '../../pipelines/analysis.ts';
import { rounded } from './numbers.ts';
import { soundMeasures } from './parts.ts';

const measured = z.object(soundMeasures);

export const soundMembers = measured.partial().shape;

/** Empty for media without sound, and where nothing of it was decoded. */
export function soundView({ signals }: Analysis): Partial<z.infer<typeof measured>> {
  const found = measured.safeParse(signals);
  return found.success ? rounded(found.data) : {};
}
