"""The optimum of multinomial logistic regression, with proof of how close it is.

    minimise over W (F, C) and b (C,)   f = sum_i s_i CE(softmax(x_i W + b), y_i) + λ/2 |W|²

with λ = 1 / C of scikit-learn and s the weights of the pictures. `prepare` centres and rotates the
features once; `solve` then answers for any λ: L-BFGS in the eigenbasis, where the curvature is
close to diagonal, Newton's method where that is cheaper, and a bound from the dual in float64.

Letters: N pictures, F features, R width of the eigenbasis, C classes, J problems (λ) at once.
"""
