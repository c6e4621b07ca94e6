/** The case with a number: which file is sent, and how. Pure: the seed of the run and the number tell all of it. */
import { createHash } from 'node:crypto';
import { seededRandom } from '../../../test/hostile/bytes.ts';
import type { ValidFile } from '../../../test/hostile/valid-files.ts';
import {
  drawn,
  MUTATIONS,
  type MutationName,
  oneOf,
  type Random,
  type Subject,
  withOggChecksums,
  withPngChecksums,
} from './mutations.ts';

export type Kind = ValidFile['kind'];

/** A valid file to begin with. */
export interface SeedFile extends ValidFile {
  readonly name: string;
}

/** Out of a hundred cases. Every sound costs a start of ffmpeg and every video two; an image costs neither. */
export const MIX: Readonly<Record<Kind, number>> = { image: 80, audio: 12, video: 8 };
export const KINDS = Object.keys(MIX) as Kind[];

/** Names of the packages that the server serves for a kind of media, the one that it takes by itself first. */
const MODELS: Readonly<Record<Kind, readonly [string, ...string[]]>> = {
  image: ['classifier', 'residual', 'portraits'],
  audio: ['voice', 'speech', 'spectra'],
  // The last one judges the sound track.
  video: ['frames', 'sequence', 'joint', 'colours', 'blinks', 'faces', 'voice'],
};

export interface FuzzCase {
  readonly index: number;
  readonly kind: Kind;
  /** Of the file that it began with. */
  readonly seedFile: string;
  readonly mutations: readonly (MutationName | 'mend-checksums')[];
  readonly bytes: Buffer;
  readonly model: string;
  /** Whether the heat map is asked for as well. */
  readonly visualization: boolean;
  /** Whether it is sent twice, to be judged alike. */
  readonly twice: boolean;
}

const names = Object.keys(MUTATIONS) as MutationName[];
const maxStacked = 8;

/** What kind of media the case begins with; the files are not needed for it. */
export function kindOfCase(runSeed: number, index: number): Kind {
  return drawnKind(randomOf(runSeed, index));
}

/** @param seeds with at least one file of each kind, always in the same order */
export function caseOf(seeds: readonly SeedFile[], runSeed: number, index: number): FuzzCase {
  const random = randomOf(runSeed, index);
  const kind = drawnKind(random);
  const file = oneOf(
    random,
    seeds.filter((seed) => seed.kind === kind),
  );
  const [usual, ...others] = MODELS[kind];
  const model = others.length > 0 && random() < 0.25 ? oneOf(random, others) : usual;
  const visualization = random() < 0.05;
  const twice = random() < 0.05;
  return { index, kind, seedFile: file.name, model, visualization, twice, ...mutated(file, seeds, random) };
}

function mutated(file: SeedFile, seeds: readonly SeedFile[], random: Random) {
  // Half of the cases have one mutation or two: a reader gets further into a file that is nearly valid.
  const count = random() < 0.5 ? drawn(random, 1, 3) : drawn(random, 1, maxStacked + 1);
  const mutations: FuzzCase['mutations'][number][] = [];
  let subject: Subject = file;
  for (let left = count; left > 0; left -= 1) {
    const name = oneOf(random, names);
    mutations.push(name);
    subject = { ...subject, bytes: MUTATIONS[name](subject, random, oneOf(random, seeds)) };
  }
  const mend = checksums[file.container];
  if (mend === undefined || random() < 0.25) return { mutations, bytes: subject.bytes };
  return { mutations: [...mutations, 'mend-checksums' as const], bytes: mend(subject.bytes) };
}

const checksums: Partial<Record<ValidFile['container'], (bytes: Buffer) => Buffer>> = {
  png: withPngChecksums,
  ogg: withOggChecksums,
};

function drawnKind(random: Random): Kind {
  let left = random() * KINDS.reduce((sum, kind) => sum + MIX[kind], 0);
  for (const kind of KINDS) {
    if (left < MIX[kind]) return kind;
    left -= MIX[kind];
  }
  return 'image';
}

/** Hashed, because neighbouring seeds of the generator give neighbouring numbers. */
function randomOf(runSeed: number, index: number): Random {
  return seededRandom(createHash('sha256').update(`${runSeed}:${index}`).digest().readUIntBE(0, 6));
}
