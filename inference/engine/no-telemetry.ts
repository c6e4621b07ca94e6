/**
 * Imported before ONNX Runtime, whose builds for Linux from 1.29 on send names and hashes of models to their maker and keep files in the
 * temporary folder. It reads the variable from the process, and an assignment reaches that in the main thread alone: so the module that
 * starts worker threads imports this, too.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
