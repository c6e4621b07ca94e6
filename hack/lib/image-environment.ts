/** What the inference image sets for its processes' memory, for measuring the same program without an image. */

/** Lines of `ENV` in Dockerfile.inference say the same; a test compares them. */
export const IMAGE_MEMORY_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '2',
  NODE_OPTIONS: '--max-semi-space-size=8',
} as const;
