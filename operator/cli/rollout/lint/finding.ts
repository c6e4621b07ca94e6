/** What a check has to say about an object. */

export interface Finding {
  /** An error is refused by the API server, or can never work. A warning works otherwise than it reads. */
  readonly severity: 'error' | 'warning';
  /** From the root of the object, e.g. `['spec', 'strategy', 'canary', 'steps', 2]`. */
  readonly path: Path;
  readonly message: string;
}

export type Path = readonly (string | number)[];

export const problem = (path: Path, message: string): Finding => ({ severity: 'error', path, message });
export const doubt = (path: Path, message: string): Finding => ({ severity: 'warning', path, message });

/** `spec.strategy.canary.steps[2]` */
export const pathText = (path: Path) =>
  path
    .map((part) =>
      typeof part === 'number' ? `[${part}]` : /^[\w-]+$/.test(part) ? `.${part}` : `["${part}"]`,
    )
    .join('')
    .replace(/^\./, '');
