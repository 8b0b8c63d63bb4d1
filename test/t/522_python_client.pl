# client/python: see test/perl/ClientFeatures.pm.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ClientFeatures;

client_features('python');
