/** Bounds the memory of images that are decoded at the same time in one worker. First come, first served. */

interface Waiting {
  readonly pixels: number;
  readonly enter: () => void;
}

export class PixelBudget {
  /** Pixels; no single image may have more. */
  readonly capacity: number;
  #free: number;
  readonly #waiting: Waiting[] = [];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#free = capacity;
  }

  /** Runs the action when its pixels fit beside those of the actions that run. */
  async within<T>(pixels: number, action: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ pixels, enter: resolve });
      this.#admit();
    });
    try {
      return await action();
    } finally {
      this.#free += pixels;
      this.#admit();
    }
  }

  #admit(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.pixels <= this.#free;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#free -= next.pixels;
      next.enter();
    }
  }
}
