/** Who has judged, as answers, logs and traces tell it: a package, or several of them together in the same words. */
import type { Manifest } from './manifest.ts';
import type { NamedPackage } from './package.ts';

export interface Judge extends Pick<NamedPackage, 'name' | 'digest'> {
  /** `mixed`: of several packages. */
  readonly precision: NamedPackage['precision'] | 'mixed';
  readonly manifest: Pick<Manifest, 'name' | 'version' | 'thresholds'> & {
    /** What it judges, for a person. */
    readonly modality: string;
    readonly calibration: { readonly method: string };
    readonly card: Pick<Manifest['card'], 'status'>;
  };
}
