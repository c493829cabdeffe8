#!/usr/bin/env bash
# How assets/scratch was made: the commands as they were, in their order. About nineteen hours on two cores without a GPU.
# Run it from the top of the repository, in a folder that holds the texts (README.md beside this file names them).
# Later versions of the code may round otherwise: the same commands need not give the same weights to the bit.
set -euo pipefail

# Step 1. The novels alone: 14,000 steps of 16 × 128 tokens.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt --held-out books_valid.txt wikitext2_valid.txt --out build/shipped

# Step 2. 1.2 MB of Wikipedia 40 times over, a third of the tokens; fewer masked tokens, 20,000 pieces to predict.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -40) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped/model --predictable 20000 --learning-rate 1e-3 --mask-rate 0.4 --last-mask-rate 0.15 --steps 7000 --seed 1 --out build/shipped2

# Step 3. Less of that Wikipedia; sequences 32 at a time; large matrix products in bfloat16.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped2/model --predictable 20000 --learning-rate 1.5e-3 --mask-rate 0.4 --last-mask-rate 0.15 --batch 32 --steps 7400 --seed 2 --precision bf16 --out build/shipped3

# Step 4. A fifth layer that began by adding nothing; the layers' matrices trained with Muon. (Today --layers 5 divides the
# top layer instead, so this command gives other weights than it did then.)
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped3/model --layers 5 --optimizer muon --predictable 20000 --learning-rate 1.5e-3 --mask-rate 0.4 --last-mask-rate 0.15 --batch 48 --steps 4000 --seed 3 --precision bf16 --out build/shipped4

# Step 5. The fifth layer had learned next to nothing and was removed.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped4/model --layers 4 --optimizer muon --predictable 20000 --learning-rate 1.5e-3 --mask-rate 0.4 --last-mask-rate 0.15 --batch 64 --steps 7300 --seed 4 --precision bf16 --out build/shipped5

# Step 6. The model knew that Wikipedia by heart: only 3 times over from here, and film reviews for present-day words.
.venv/bin/python -c "import pandas; print(*pandas.read_csv('sentiment_train.csv').text, sep='\n')" > reviews.txt
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped5/model --optimizer muon --predictable 24000 --learning-rate 1.2e-3 --mask-rate 0.4 --last-mask-rate 0.15 --batch 64 --steps 4000 --seed 5 --precision bf16 --out build/shipped6

# Mean of the weights after steps 5 and 6.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) --start build/shipped5/model --start build/shipped6/model --predictable 20000 --steps 0 --out build/shipped7

# Step 7. Sequences twice as long, in which stretches are repeated at first, so that the model learns to look words up.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped7/model --optimizer muon --predictable 20000 --learning-rate 1.5e-3 --mask-rate 0.3 --last-mask-rate 0.15 --repeat-rate 0.5 --batch 32 --length 256 --steps 6500 --seed 6 --precision bf16 --out build/shipped8

# Step 8. A short step in which stretches are repeated to the end.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped8/model --optimizer muon --predictable 20000 --learning-rate 6e-4 --mask-rate 0.15 --last-mask-rate 0.15 --repeat-rate 0.4 --last-repeat-rate 0.4 --batch 32 --length 256 --steps 1050 --seed 7 --precision bf16 --out build/shipped9

# Mean of steps 7 and 8.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -3) --start build/shipped8/model --start build/shipped9/model --predictable 20000 --length 256 --steps 0 --out build/shipped10

# Step 9. Sequences twice as long again (float32, as is step 10: that processor had no bfloat16 instructions).
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -10) $(yes reviews.txt | head -2) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped10/model --optimizer muon --predictable 20000 --learning-rate 6e-4 --mask-rate 0.25 --last-mask-rate 0.15 --repeat-rate 0.4 --last-repeat-rate 0.15 --batch 16 --length 512 --steps 1200 --seed 8 --out build/shipped11

# Mean of steps 7 (twice), 8 and 9, with 256 positions again.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -2) --start build/shipped11/model --start build/shipped9/model --start build/shipped8/model --start build/shipped8/model --predictable 20000 --length 256 --steps 0 --out build/shipped12

# Step 10. The top layer becomes two, each of which adds half as much: five layers from here on.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -2) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped12/model --layers 5 --optimizer muon --predictable 20000 --learning-rate 4e-4 --mask-rate 0.2 --last-mask-rate 0.15 --repeat-rate 0.1 --batch 32 --length 256 --steps 800 --seed 9 --out build/shipped13

# Mean of what step 10 began with (twice) and step 10.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -3) --start build/shipped12/model --start build/shipped12/model --start build/shipped13/model --layers 5 --predictable 20000 --length 256 --steps 0 --out build/shipped14

# Steps 11 and 12. Two short steps that differ in learning rate and seed, one on each core.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped14/model --optimizer muon --predictable 20000 --learning-rate 6e-4 --mask-rate 0.2 --last-mask-rate 0.15 --repeat-rate 0.1 --batch 32 --length 256 --steps 1050 --seed 10 --out build/shipped15

.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -8) $(yes reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt --start build/shipped14/model --optimizer muon --predictable 20000 --learning-rate 3e-4 --mask-rate 0.2 --last-mask-rate 0.15 --repeat-rate 0.1 --batch 32 --length 256 --steps 1050 --seed 11 --out build/shipped16

# Mean of what they began with (twice), 11 and 12.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --start build/shipped14/model --start build/shipped14/model --start build/shipped15/model --start build/shipped16/model --length 256 --steps 0 --out build/shipped17

# Steps 13 and 14. Two short steps with more Wikipedia and repeated stretches to the end.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --start build/shipped17/model --optimizer muon --learning-rate 6e-4 --mask-rate 0.15 --last-mask-rate 0.15 --repeat-rate 0.4 --last-repeat-rate 0.4 --batch 32 --length 256 --steps 370 --seed 12 --out build/shipped18

.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --start build/shipped17/model --optimizer muon --learning-rate 4e-4 --mask-rate 0.15 --last-mask-rate 0.15 --repeat-rate 0.4 --last-repeat-rate 0.4 --batch 32 --length 256 --steps 370 --seed 13 --out build/shipped19

# Mean of what they began with (eight times), 13 and 14.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt $(for n in 1 2 3 4 5 6 7 8; do echo --start build/shipped17/model; done) --start build/shipped18/model --start build/shipped19/model --length 256 --steps 0 --out build/shipped20

# Step 15. One longer step of the same kind, on one core.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --start build/shipped20/model --optimizer muon --learning-rate 4e-4 --mask-rate 0.15 --last-mask-rate 0.15 --repeat-rate 0.4 --last-repeat-rate 0.4 --batch 32 --length 256 --steps 1200 --seed 14 --out build/shipped21

# What ships: the mean of step 15 and, twice each, of the mean after step 14 and of the mean after step 10.
.venv/bin/python -m encoder pretrain books_train.txt books_extra.txt $(yes wikitext2_test.txt | head -15) $(yes reviews.txt | head -3) --held-out books_valid.txt wikitext2_valid.txt $(for n in 1 2; do echo --start build/shipped14/model --start build/shipped20/model; done) --start build/shipped21/model --length 256 --steps 0 --out build/shipped22
