/** The files that the demo and the end-to-end tests analyse; their origins are in test/fixtures/media/README.md. */
import { join } from 'node:path';
import { REPOSITORY } from '../paths.ts';
import type { Sample } from './analyze.ts';

const MEDIA = join(REPOSITORY, 'test/fixtures/media');

export const SAMPLES: readonly Sample[] = [
  { path: join(MEDIA, 'photograph-real.jpg'), modality: 'image', truth: 'real' },
  { path: join(MEDIA, 'photograph-fake.jpg'), modality: 'image', truth: 'fake' },
  { path: join(MEDIA, 'voice-real.flac'), modality: 'audio', truth: 'real' },
  { path: join(MEDIA, 'voice-fake.flac'), modality: 'audio', truth: 'fake' },
];
