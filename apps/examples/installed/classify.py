#!/usr/bin/env python3
"""Names what pictures show: classify.py MODEL PICTURE...     Needs the package cardinal_vk, and Pillow."""
import sys

import cardinal_vk as cardinal

if len(sys.argv) < 3:
    sys.exit(__doc__)
try:
    with cardinal.Device() as device, cardinal.Model(sys.argv[1]) as model:
        session = cardinal.Session(device, model)
        for path in sys.argv[2:]:
            if len(sys.argv) > 3:
                print(path)
            for answer in session.classify(path):
                print(f"{100 * answer.prob:5.1f} %  {answer.label or '(unlabelled)'}")
except (cardinal.Error, OSError) as e:
    sys.exit(str(e))
