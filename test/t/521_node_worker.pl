# A worker of client/node: see test/perl/WorkerStories.pm.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use WorkerStories;

worker_stories('node');
