// Runs specs of RongCloud's SDK, as its makers ship them, against a server of ours: node run.js FOLDER ADDRESS SPEC...
//
// FOLDER holds node_modules with rongcloud-sdk and jasmine. Prints one JSON object for each case: {"name", "status", "why"}. Nothing of the SDK is
// changed: its address comes from its own configuration, its key and secret from its own specs.
'use strict';
const path = require('path');
const [folder, address, ...specs] = process.argv.slice(2);
const modules = path.resolve(folder, 'node_modules');
const sdk = path.join(modules, 'rongcloud-sdk');
const Jasmine = require(path.join(modules, 'jasmine'));

require(path.join(sdk, 'lib/request')).init({ api: address, appkey: '', secret: '' });

const jasmine = new Jasmine({ projectBaseDir: sdk });
jasmine.loadConfig({ spec_dir: 'spec', spec_files: specs, helpers: ['helpers/**/*.js'] });
jasmine.clearReporters();
jasmine.addReporter({
  specDone: (spec) => {
    const why = spec.failedExpectations.map((failed) => failed.message).join('; ');
    console.log(JSON.stringify({ name: spec.fullName, status: spec.status, why }));
  },
});
// Whatever fails is told above; an exit code would say less.
jasmine.onComplete(() => process.exit(0));
jasmine.execute();
